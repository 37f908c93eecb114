import { crossEntropy } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { type LogitDistillationOptions, logitDistillation } from "./logit-distillation.ts";
import { checkOptions, refuseIn } from "./option-check.ts";
import { type SinkhornKdOptions, sinkhornKd } from "./sinkhorn-kd.ts";
import { checkLogits, flat, keptRows, keptTokens, type TeacherStudent } from "./teacher-student.ts";

export interface DistillationLossOptions {
  /** Weight of the divergence; cross-entropy has 1 − α. In [0, 1]. */
  alpha: number;
  /** Weight of the Sinkhorn loss; default 0. */
  beta?: number;
  /** τ of both losses; default 2. */
  temperature?: number;
  /** τ² on the divergence, and on the Sinkhorn loss if its options say so; default true. */
  temperatureSquared?: boolean;
  /** Default forward KL. */
  divergence?: LogitDistillationOptions["divergence"];
  sinkhorn?: Omit<SinkhornKdOptions, "temperature" | "mask">;
  /**
   * What sums are divided by: the tokens and points of the whole step, when this is one micro-batch of it, so that micro-batches add up
   * to the step however it is split. Default those of this call. The paper's sum over the batch is `points: 1`.
   */
  normaliser?: { tokens?: number; points?: number };
}

const optionNames = {
  alpha: true,
  beta: true,
  temperature: true,
  temperatureSquared: true,
  divergence: true,
  sinkhorn: true,
  normaliser: true,
} satisfies Record<keyof DistillationLossOptions, true>;

export interface DistillationBatch extends TeacherStudent {
  /** int32, [examples] or [sequences, L]; needed unless α = 1. */
  labels?: tf.Tensor;
  /** Tokens that count, in the labels' shape. */
  mask?: tf.Tensor;
}

/** The loss and what it is made of, unweighted means, and how well the transport's plans met their marginals; all scalars. */
export interface DistillationLoss {
  loss: tf.Scalar;
  crossEntropy: tf.Scalar;
  divergence: tf.Scalar;
  sinkhorn: tf.Scalar;
  /** The largest of the transport's `rowError`, and whether all of it converged (bool); 0 and true without transport. Constants. */
  rowError: tf.Scalar;
  converged: tf.Scalar;
}

function checkWeights(alpha: number, beta: number): void {
  if (!(alpha >= 0 && alpha <= 1))
    throw new RangeError(`distillationLoss: alpha is ${alpha}, expected a number in [0, 1].`);
  if (!(beta >= 0 && beta < Number.POSITIVE_INFINITY))
    throw new RangeError(`distillationLoss: beta is ${beta}, expected a number of at least 0.`);
}

function checkNested({ beta, sinkhorn, normaliser }: DistillationLossOptions): void {
  if (normaliser) checkOptions("distillationLoss: normaliser", normaliser, { tokens: true, points: true });
  if (!sinkhorn) return;
  const own = "it is an option of distillationLoss, or part of the batch, for all terms";
  refuseIn("distillationLoss", "sinkhorn", sinkhorn, ["temperature", "mask"], own);
  if (beta === undefined)
    throw new RangeError("distillationLoss: sinkhorn would be ignored; beta, its weight, is 0 unless given.");
}

/** Cross-entropy of the tokens that count, whatever the labels of the others are. */
function labelLoss({ student, labels, mask }: DistillationBatch): tf.Tensor1D {
  if (!labels) throw new RangeError("distillationLoss: with alpha below 1 there must be labels.");
  const targets = tf.reshape(labels, [-1]) as tf.Tensor1D;
  if (!mask) return crossEntropy(flat(student), targets);
  const kept = keptTokens("distillationLoss", mask, student);
  const all = targets.dataSync();
  return crossEntropy(
    keptRows(flat(student), kept),
    tf.tensor1d(
      Int32Array.from(kept, (at) => all[at]!),
      "int32",
    ),
  );
}

/**
 * L = (1 − α)·CE + α·D_f + β·L_SD (arXiv 2402.17110), each a sum over tokens, or points, divided by one number. A term of
 * weight 0 is not computed.
 *
 * @throws RangeError on weights, shapes and missing labels
 */
export function distillationLoss(
  batch: DistillationBatch,
  options: DistillationLossOptions,
): DistillationLoss {
  checkOptions("distillationLoss", options, optionNames);
  checkNested(options);
  checkLogits("distillationLoss", batch);
  const { alpha, beta = 0, temperature = 2, temperatureSquared = true, normaliser = {} } = options;
  checkWeights(alpha, beta);
  const { student, mask } = batch;
  const places = student.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return tf.tidy(() => {
    const tokens =
      normaliser.tokens ?? (mask ? keptTokens("distillationLoss", mask, student).length : places);
    const mean = (losses: tf.Tensor, count: number) =>
      tf.div(tf.sum(losses), Math.max(count, 1e-30)) as tf.Scalar;
    const zero = tf.scalar(0);
    const ce = alpha < 1 ? mean(labelLoss(batch), tokens) : zero;
    const distilled =
      alpha > 0
        ? mean(
            logitDistillation(batch, {
              temperature,
              temperatureSquared,
              ...(options.divergence && { divergence: options.divergence }),
              ...(mask && { mask }),
            }),
            tokens,
          )
        : zero;
    let transported = zero;
    let fit: Pick<DistillationLoss, "rowError" | "converged"> = {
      rowError: zero,
      converged: tf.scalar(true, "bool"),
    };
    if (beta > 0) {
      const isAnswer = options.sinkhorn?.formulation?.kind === "answer";
      const { loss, points, rowError, converged } = sinkhornKd(batch, {
        ...options.sinkhorn,
        temperature,
        ...(mask && !isAnswer && { mask }),
      });
      transported = mean(loss, normaliser.points ?? points);
      fit = { rowError: tf.max(rowError), converged: tf.all(converged) };
    }
    const loss = tf.addN([
      tf.mul(1 - alpha, ce),
      tf.mul(alpha, distilled),
      tf.mul(beta, transported),
    ]) as tf.Scalar;
    return { loss, crossEntropy: ce, divergence: distilled, sinkhorn: transported, ...fit };
  });
}
