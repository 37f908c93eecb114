import { lazyGradient } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";

/** What is computed without being recorded for gradients: a function without inputs has none. */
export const unrecorded = (compute: () => tf.Tensor): tf.Tensor => lazyGradient({}, compute, () => ({}));
