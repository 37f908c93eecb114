import { attention, cacheWrite, reshape } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import type { CausalLmConfig } from "./config.ts";
import type { ForwardInput } from "./family.ts";

/**
 * One layer's attention, through the cache where there is one.
 *
 * @param q [rows, length, heads·headSize]
 * @param k [rows, length, kvHeads·headSize]
 * @param v [rows, length, kvHeads·headSize]
 * @returns [rows·length, heads·headSize]
 */
export function attend(
  config: CausalLmConfig,
  layer: number,
  { q, k, v }: { q: tf.Tensor; k: tf.Tensor; v: tf.Tensor },
  { layout, cache }: ForwardInput,
): tf.Tensor {
  const { heads, kvHeads } = config;
  const options = {
    heads,
    kvHeads,
    scale: config.attentionScales[layer]!,
    window: config.slidingWindows[layer]!,
  };
  let keys = k;
  let values = v;
  if (cache) {
    cacheWrite(cache.keys[layer]!, k, layout);
    cacheWrite(cache.values[layer]!, v, layout);
    if (!cache.empty) {
      keys = cache.keys[layer]!;
      values = cache.values[layer]!;
    }
  }
  const out = attention(q, keys, values, layout, options);
  return reshape(out, [-1, q.shape[2]!]);
}
