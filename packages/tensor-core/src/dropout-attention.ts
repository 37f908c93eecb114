import * as tf from "@tensorflow/tfjs-core";
import {
  type AttentionOptions,
  attentionAttributes,
  stockAttention,
  stockAttentionGrad,
} from "./attention.ts";
import { lazyGradient } from "./kernel.ts";
import { checkShape, printShape } from "./shape-check.ts";

type Inputs = Record<"q" | "k" | "v" | "layout" | "mask", tf.Tensor> & { bias?: tf.Tensor | undefined };

/**
 * Attention with dropout on its weights, (softmax(scale·q·kᵀ + bias)∘mask)·v, over the keys that `attention`'s layout lets each query see; for
 * training alone, made of TensorFlow.js operations. Of tensors as large as the weights the mask alone is kept for the gradient.
 *
 * @param mask of `dropoutMask`, [B, heads, T, S]
 * @param bias [heads, T, S]
 * @returns [B, T, heads·D]
 * @throws when the shapes or head counts do not fit
 */
export function dropoutAttention(
  { q, k, v, layout, mask, bias }: Inputs,
  options: AttentionOptions,
): tf.Tensor {
  const attributes = attentionAttributes({ q, k, v, layout }, options);
  const { heads } = attributes;
  const [batch, time] = q.shape as [number, number];
  const keys = k.shape[1]!;
  const fitting = `q ${printShape(q.shape)} and k ${printShape(k.shape)}`;
  checkShape("dropoutAttention", "mask", mask, [batch, heads, time, keys], fitting);
  if (bias) checkShape("dropoutAttention", "bias", bias, [heads, time, keys], fitting);
  return lazyGradient(
    { q, k, v, ...(bias && { bias }) },
    (save) => {
      const given = { q, k, v, layout, dropout: mask, ...(bias && { bias }) };
      const [out, logSumExp] = tf.tidy(() => stockAttention(given, attributes));
      save([q, k, v, layout, mask, out!, logSumExp!, ...(bias ? [bias] : [])]);
      return out!;
    },
    (dy, [q, k, v, layout, dropout, out, logSumExp, bias]) => {
      const saved = {
        q: q!,
        k: k!,
        v: v!,
        layout: layout!,
        dropout: dropout!,
        out: out!,
        logSumExp: logSumExp!,
      };
      const all = tf.tidy(() => stockAttentionGrad({ dy, ...saved, ...(bias && { bias }) }, attributes));
      return Object.fromEntries(
        ["q", "k", "v", "bias"].slice(0, all.length).map((name, i) => [name, () => all[i]!]),
      );
    },
  );
}
