import type * as tf from "@tensorflow/tfjs-core";
import {
  type AttentionAttributes,
  type AttentionInputs,
  type AttentionOptions,
  attentionAttributes,
  stockAttention,
  stockAttentionGrad,
} from "./attention.ts";
import { defineKernel } from "./kernel.ts";
import { checkShape, printShape } from "./shape-check.ts";

type Inputs = AttentionInputs & { bias: tf.Tensor };

/** FdivBiasedAttentionGrad: dq, dk, dv and dbias from the saved output and log-sum-exp. */
export const biasedAttentionGradKernel = defineKernel<
  Inputs & { dy: tf.Tensor; out: tf.Tensor; logSumExp: tf.Tensor },
  AttentionAttributes
>({ name: "FdivBiasedAttentionGrad", generic: stockAttentionGrad });

/** FdivBiasedAttention: softmax(scale·q·kᵀ + bias + mask)·v and the log-sum-exp of each row of scores. */
export const biasedAttentionKernel = defineKernel<Inputs, AttentionAttributes>({
  name: "FdivBiasedAttention",
  generic: stockAttention,
  gradient: {
    inputs: ["q", "k", "v", "layout", "bias"],
    outputs: [true, true],
    run: ([dy], [q, k, v, layout, bias, out, logSumExp], attributes) => {
      const [dq, dk, dv, dbias] = biasedAttentionGradKernel(
        { dy: dy!, q: q!, k: k!, v: v!, layout: layout!, bias: bias!, out: out!, logSumExp: logSumExp! },
        attributes,
      );
      return { q: () => dq!, k: () => dk!, v: () => dv!, bias: () => dbias! };
    },
  },
});

/**
 * Attention with a bias that all rows of a batch share, softmax(scale·q·kᵀ + bias)·v, over the keys that `attention`'s layout lets each
 * query see; differentiable with respect to the bias too.
 *
 * @param q [B, T, heads·D]
 * @param k [B, S, kvHeads·D]
 * @param v [B, S, kvHeads·D]
 * @param layout int32 [B, 3]: offset, prefixEnd, branchStart
 * @param bias [heads, T, S]
 * @returns [B, T, heads·D]
 * @throws when the shapes or head counts do not fit
 */
export function biasedAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  layout: tf.Tensor,
  bias: tf.Tensor,
  options: AttentionOptions,
): tf.Tensor {
  const attributes = attentionAttributes({ q, k, v, layout }, options);
  const shape = [options.heads, q.shape[1]!, k.shape[1]!];
  checkShape("biasedAttention", "bias", bias, shape, `q ${printShape(q.shape)} and k ${printShape(k.shape)}`);
  return biasedAttentionKernel({ q, k, v, layout, bias }, attributes)[0]!;
}
