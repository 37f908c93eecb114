import * as tf from "@tensorflow/tfjs-core";
import { type Activation, activationGradKernel, stockActivation } from "./activation.ts";
import { weightShape } from "./half-weights.ts";
import { defineKernel, lazyGradient } from "./kernel.ts";
import { product, stockMatMul } from "./mat-mul.ts";
import { reshape } from "./reshape.ts";
import { checkRank, checkShape, printShape } from "./shape-check.ts";
import { sumRowsKernel } from "./sum-rows.ts";

export interface LinearOptions {
  /** [N] */
  bias?: tf.Tensor;
  /** Whether weight is [N, K], as in a Hugging Face Linear; GPT-2's Conv1D is [K, N] (false). */
  transposeWeight?: boolean;
  activation?: Activation;
  /** Promises that nobody asks for weight's gradient, so that x need not be kept for it: under LoRA, most of the memory. */
  frozenWeight?: boolean;
}

interface Attributes {
  transposeWeight: boolean;
  activation: Activation;
  /** Whether a second output holds the sum before the activation, which only a gradient needs. */
  keepPreactivation: boolean;
}

type Inputs = { x: tf.Tensor; weight: tf.Tensor };

function stockLinear(
  { x, weight, bias }: Inputs & { bias?: tf.Tensor },
  attributes: Attributes,
): tf.Tensor[] {
  const { transposeWeight, activation, keepPreactivation } = attributes;
  const sum = stockMatMul(x, weight, false, transposeWeight);
  const preactivation = bias ? tf.add(sum, bias) : sum;
  if (activation === "none") return [preactivation];
  const y = stockActivation(preactivation, activation);
  return keepPreactivation ? [y, preactivation] : [y];
}

/** FdivLinear: y = f(x·op(weight) + bias) of x [M, K], and the sum before f when asked. */
export const linearKernel = defineKernel<Inputs & { bias: tf.Tensor }, Attributes>({
  name: "FdivLinear",
  generic: stockLinear,
});

/** FdivLinearNoBias: the same without a bias; a name of its own because a kernel's inputs are fixed. */
export const linearNoBiasKernel = defineKernel<Inputs, Attributes>({
  name: "FdivLinearNoBias",
  generic: stockLinear,
});

/**
 * The gradients of the sum before the activation, each computed only when asked: a frozen weight costs nothing.
 *
 * @param x absent when weight is frozen
 */
function linearGradient(
  dsum: tf.Tensor,
  weight: tf.Tensor,
  x: tf.Tensor | undefined,
  transposeWeight: boolean,
) {
  return {
    x: () => product(dsum, weight, false, !transposeWeight),
    bias: () => sumRowsKernel({ x: dsum }, {})[0]!,
    weight: () => {
      if (!x)
        throw new Error("linear: weight's gradient is asked, but it was declared frozen (frozenWeight).");
      return transposeWeight ? product(dsum, x, true, false) : product(x, dsum, true, false);
    },
  };
}

/**
 * A linear layer with its activation, y = f(x·weightᵀ + bias).
 *
 * @param x [..., K], rank 2 or more
 * @param weight [N, K], or [K, N] when transposeWeight is false; a frozen one may be in bfloat16 (`halfWeight`)
 * @returns [..., N]
 * @throws when weight or bias does not fit
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, options: LinearOptions = {}): tf.Tensor {
  const { bias, transposeWeight = true, activation = "none", frozenWeight = false } = options;
  checkRank("linear", "x", x, 2, 6);
  checkRank("linear", "weight", weight, 2);
  const inner = x.shape[x.rank - 1]!;
  const shape = weightShape(weight);
  const [columns, rows] = (transposeWeight ? shape : [...shape].reverse()) as [number, number];
  if (rows !== inner) {
    throw new Error(
      `linear: weight ${printShape(shape)} (${transposeWeight ? "[out, in]" : "[in, out]"}) does not fit ` +
        `x ${printShape(x.shape)}, whose last axis is ${inner}, not ${rows}.`,
    );
  }
  if (bias) checkShape("linear", "bias", bias, [columns], `the outputs of weight ${printShape(shape)}`);
  if (x.rank !== 2)
    return tf.tidy(() => {
      const flat = reshape(x, [x.size / Math.max(inner, 1), inner]);
      return reshape(linear(flat, weight, options), [...x.shape.slice(0, -1), columns]);
    });
  const keepPreactivation = activation !== "none" && tf.engine().isTapeOn();
  const attributes = { transposeWeight, activation, keepPreactivation };
  const inputs = { x, weight, ...(bias && { bias }) };
  return lazyGradient(
    inputs,
    (save) => {
      const [out, preactivation] = bias
        ? linearKernel({ x, weight, bias }, attributes)
        : linearNoBiasKernel({ x, weight }, attributes);
      save([weight, ...(preactivation ? [preactivation] : []), ...(frozenWeight ? [] : [x])]);
      return out!;
    },
    (dy, [savedWeight, ...saved]) => {
      const preactivation = keepPreactivation ? saved.shift() : undefined;
      const dsum = preactivation ? activationGradKernel({ dy, x: preactivation }, { activation })[0]! : dy;
      return linearGradient(dsum, savedWeight!, saved[0], transposeWeight);
    },
  );
}
