import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { type RotaryTables, rotaryTables } from "./rotary-scaling.ts";

interface Kept {
  positions: number;
  length: number;
  tables: RotaryTables;
}

const kept = new WeakMap<object, Kept>();

/** A model's cosines and sines for at least `reach` positions; kept with the model and regrown in powers of two. */
export function rotaryTablesOf(model: CausalLm, reach: number): RotaryTables {
  const { config } = model;
  const before = kept.get(model);
  const length = config.ropeScaling?.type === "dynamic" ? Math.max(reach, config.maxPositions) : 0;
  if (before && before.positions >= reach && before.length === length) return before.tables;
  const positions = Math.max(64, 2 ** Math.ceil(Math.log2(reach)));
  const made = rotaryTables(config, positions, length);
  const tables = { cos: tf.keep(made.cos), sin: tf.keep(made.sin) };
  disposeRotaryTables(model);
  kept.set(model, { positions, length, tables });
  return tables;
}

/** Frees a model's tables; they are made again when needed. */
export function disposeRotaryTables(model: object): void {
  const before = kept.get(model);
  if (!before) return;
  tf.dispose([before.tables.cos, before.tables.sin]);
  kept.delete(model);
}
