import * as tf from "@tensorflow/tfjs-core";
import type { CausalLmConfig } from "./config.ts";
import type { KeyValueCache } from "./family.ts";

/** A Variable with memory of its own that no gradient or optimiser takes for a parameter. */
const own = (make: () => tf.Tensor): tf.Variable => tf.tidy(() => tf.variable(make(), false));

/** An empty cache for `rows` sequences of at most `capacity` tokens. */
export function createCache(
  config: Pick<CausalLmConfig, "layers" | "kvHeads" | "headSize">,
  rows: number,
  capacity: number,
): KeyValueCache {
  const { layers, kvHeads, headSize } = config;
  const one = () => own(() => tf.fill([rows, capacity, kvHeads * headSize], 0));
  return {
    keys: Array.from({ length: layers }, one),
    values: Array.from({ length: layers }, one),
    empty: true,
  };
}

/** The cache of the given rows alone; the old one is freed. */
export function compactCache(cache: KeyValueCache, rows: number[]): KeyValueCache {
  const index = tf.tensor1d(rows, "int32");
  const pick = (variable: tf.Variable) => {
    const kept = own(() => tf.gather(variable, index, 0));
    variable.dispose();
    return kept;
  };
  const compacted = { keys: cache.keys.map(pick), values: cache.values.map(pick), empty: cache.empty };
  index.dispose();
  return compacted;
}

/** Frees the cache's memory. */
export function disposeCache(cache: KeyValueCache): void {
  for (const variable of [...cache.keys, ...cache.values]) variable.dispose();
}
