import * as tf from "@tensorflow/tfjs-core";
import { columnOfEachRow } from "./cross-entropy.ts";
import { floatWeight, weightShape } from "./half-weights.ts";
import { checkIndices } from "./index-check.ts";
import { defineKernel } from "./kernel.ts";
import { stockRowLogSumExp } from "./log-softmax.ts";
import { stockMatMul } from "./mat-mul.ts";
import { checkRank, checkShape, printShape } from "./shape-check.ts";

interface Attributes {
  /** How many tokens' logits exist at a time. */
  chunk: number;
  /** Whether the gradient kernel returns the head's gradient too, in the same pass. */
  weightGradient: boolean;
}

type Inputs = { hidden: tf.Tensor; headWeight: tf.Tensor; targets: tf.Tensor };

/** [from, count] of each run of at most `chunk` rows. */
function chunks(rows: number, chunk: number): [number, number][] {
  return Array.from({ length: Math.ceil(rows / chunk) }, (_, i) => [
    i * chunk,
    Math.min(chunk, rows - i * chunk),
  ]);
}

const rowsOf = (x: tf.Tensor, from: number, count: number): tf.Tensor =>
  tf.slice(x, [from, ...x.shape.slice(1).map(() => 0)], [count, ...x.shape.slice(1)]);

/** One chunk's gradient with respect to its hidden states and, when asked, to the head. */
function chunkGradient(
  dlogp: tf.Tensor,
  { hidden, headWeight, targets }: Inputs,
  logSumExp: tf.Tensor,
  weightGradient: boolean,
): tf.Tensor[] {
  const logits = stockMatMul(hidden, headWeight, false, true);
  const p = tf.exp(tf.sub(logits, tf.reshape(logSumExp, [-1, 1])));
  const hit = tf.scatterND(columnOfEachRow(targets), dlogp, logits.shape as [number, number]);
  const dlogits = tf.sub(hit, tf.mul(p, tf.reshape(dlogp, [-1, 1])));
  const dhidden = stockMatMul(dlogits, headWeight);
  return weightGradient ? [dhidden, stockMatMul(dlogits, hidden, true)] : [dhidden];
}

/** FdivSelectedLogProbsGrad: dhidden [M, H] and, with weightGradient, dheadWeight [V, H]; logits are recomputed chunk by chunk. */
export const selectedLogProbsGradKernel = defineKernel<
  Inputs & { dlogp: tf.Tensor; logSumExp: tf.Tensor },
  Attributes
>({
  name: "FdivSelectedLogProbsGrad",
  generic: ({ dlogp, hidden, headWeight: head, targets, logSumExp }, { chunk, weightGradient }) => {
    const headWeight = floatWeight(head);
    const dhidden: tf.Tensor[] = [];
    let dweight: tf.Tensor = tf.zeros(weightGradient ? headWeight.shape : [0]);
    for (const [from, count] of chunks(hidden.shape[0]!, chunk)) {
      const [dh, dw] = tf.tidy(() => {
        const part = {
          hidden: rowsOf(hidden, from, count),
          headWeight,
          targets: rowsOf(targets, from, count),
        };
        const [d, contribution] = chunkGradient(
          rowsOf(dlogp, from, count),
          part,
          rowsOf(logSumExp, from, count),
          weightGradient,
        );
        return contribution ? [d!, tf.add(dweight, contribution)] : [d!];
      });
      dhidden.push(dh!);
      if (dw) {
        dweight.dispose();
        dweight = dw;
      }
    }
    const all = dhidden.length > 0 ? tf.concat(dhidden, 0) : tf.zeros(hidden.shape);
    return weightGradient ? [all, dweight] : [all];
  },
});

/** FdivSelectedLogProbs: the log-probability [M] of each row's target under hidden·headWeightᵀ, and the log-sum-exp [M]. */
export const selectedLogProbsKernel = defineKernel<Inputs, Attributes>({
  name: "FdivSelectedLogProbs",
  generic: ({ hidden, headWeight: head, targets }, { chunk }) => {
    const headWeight = floatWeight(head);
    if (hidden.shape[0] === 0) return [tf.zeros([0]), tf.zeros([0])];
    const parts = chunks(hidden.shape[0]!, chunk).map(([from, count]) =>
      tf.tidy(() => {
        const logits = stockMatMul(rowsOf(hidden, from, count), headWeight, false, true);
        const logSumExp = tf.reshape(stockRowLogSumExp(logits), [count]);
        const chosen = tf.gatherND(logits, columnOfEachRow(rowsOf(targets, from, count)));
        return [tf.sub(chosen, logSumExp), logSumExp];
      }),
    );
    return [tf.concat(parts.map((part) => part[0]!)), tf.concat(parts.map((part) => part[1]!))];
  },
  gradient: {
    inputs: ["hidden", "headWeight", "targets"],
    outputs: [false, true],
    run: ([dlogp], [hidden, headWeight, targets, logSumExp], { chunk, weightGradient }) => {
      const inputs = {
        dlogp: dlogp!,
        hidden: hidden!,
        headWeight: headWeight!,
        targets: targets!,
        logSumExp: logSumExp!,
      };
      const both = () => selectedLogProbsGradKernel(inputs, { chunk, weightGradient: true });
      if (!weightGradient) {
        return {
          hidden: () => selectedLogProbsGradKernel(inputs, { chunk, weightGradient: false })[0]!,
          headWeight: () => both()[1]!,
        };
      }
      const [dhidden, dweight] = both();
      return { hidden: () => dhidden!, headWeight: () => dweight! };
    },
  },
});

/** How many logits exist at a time by default: 64 MB of them; with fewer, packing the head anew each time costs more than it saves. */
const defaultChunkElements = 16 * 1024 * 1024;

/**
 * The log-probability of one chosen token a row, log softmax(hidden·headWeightᵀ)[target], straight from hidden states:
 * only `chunk` rows of logits exist at a time, forward and backward.
 *
 * A head that is a tf.Variable gets its gradient in the pass that computes the hidden states'; a plain tensor is taken for
 * frozen, and costs a second pass if its gradient is asked after all.
 *
 * @param hidden [n, H]
 * @param headWeight [V, H]; a frozen one may be in bfloat16 (`halfWeight`)
 * @param targets int32 [n]
 * @returns [n], in nats
 * @throws when the shapes do not fit or a target is outside [0, V) (on backends that would not notice)
 */
export function selectedLogProbs(
  hidden: tf.Tensor,
  headWeight: tf.Tensor,
  targets: tf.Tensor,
  options: { chunk?: number } = {},
): tf.Tensor1D {
  checkRank("selectedLogProbs", "hidden", hidden, 2);
  checkRank("selectedLogProbs", "headWeight", headWeight, 2);
  const [rows, size] = hidden.shape as [number, number];
  const vocabulary = headWeight.shape[0]!;
  const fits = `hidden ${printShape(hidden.shape)}`;
  checkShape("selectedLogProbs", "headWeight", { shape: weightShape(headWeight) }, [vocabulary, size], fits);
  checkShape("selectedLogProbs", "targets", targets, [rows], `one a row of ${fits}`);
  checkIndices("selectedLogProbs", "targets", targets, vocabulary);
  const chunk = options.chunk ?? Math.max(1, Math.floor(defaultChunkElements / Math.max(1, vocabulary)));
  if (!Number.isInteger(chunk) || chunk < 1) {
    throw new Error(`selectedLogProbs: chunk is ${chunk}, expected a positive whole number of rows.`);
  }
  const weightGradient = headWeight instanceof tf.Variable;
  return tf.tidy(
    () =>
      selectedLogProbsKernel({ hidden, headWeight, targets }, { chunk, weightGradient })[0] as tf.Tensor1D,
  );
}
