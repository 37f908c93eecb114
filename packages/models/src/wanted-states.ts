import { gatherRows } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import type { ForwardInput } from "./family.ts";

/** Of a layer's states [rows·length, H] those that are wanted of the model: in the last layer `wanted` alone, where they are given. */
export const wantedStates = (states: tf.Tensor, { wanted }: ForwardInput, isLast: boolean): tf.Tensor =>
  isLast && wanted ? gatherRows(states, wanted) : states;
