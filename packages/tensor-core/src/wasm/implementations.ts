import type * as tf from "@tensorflow/tfjs-core";
import type { KernelModule } from "./module.ts";

/** Kernels by name: outputs from inputs and attributes, all on the module's memory. */
export type Implementations = Record<
  string,
  (
    module: KernelModule,
    inputs: Record<string, tf.TensorInfo>,
    // biome-ignore lint/suspicious/noExplicitAny: each kernel's definition checks its attributes.
    attributes: any,
  ) => tf.TensorInfo | tf.TensorInfo[] | undefined
>;

export const sizeOf = (info: tf.TensorInfo): number =>
  info.shape.reduce((product, size) => product * size, 1);
