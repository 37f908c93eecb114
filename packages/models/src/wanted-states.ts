import { gatherRows } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardInput } from "./family.ts";

/** What one of the model's layers reads: only the last is told which states are wanted, for those before it compute all. */
export function inputOfLayer(input: ForwardInput, layer: number, layers: number): ForwardInput {
  const { wanted: _, ...all } = input;
  return layer === layers - 1 ? input : all;
}

/** Of a layer's states [rows·length, H] those that it has to compute behind its attention. */
export const wantedStates = (states: tf.Tensor, { wanted }: ForwardInput): tf.Tensor =>
  wanted ? gatherRows(states, wanted) : states;
