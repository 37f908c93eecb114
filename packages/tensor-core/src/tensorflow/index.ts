import * as tf from "@tensorflow/tfjs-core";
import { implementKernel } from "../kernel.ts";
import { type NativeOperations, operationsOf, type TensorflowBackend } from "./backend.ts";
import { implementations } from "./kernels.ts";

/** The version of the operations that these kernels call. */
export const operationsVersion = 14;

/**
 * Gives TensorFlow.js' Node backend the fused kernels, by way of operations that `@fdiv/native` has registered with TensorFlow.
 *
 * @throws when the operations are of another version, or the backend computes on a GPU, which they don't
 */
export function attachTensorflowKernels(backend: tf.KernelBackend, operations: NativeOperations): void {
  if (operations.version !== operationsVersion)
    throw new Error(
      `the native operations are of version ${operations.version} and version ${operationsVersion} is due; install again`,
    );
  const tensorflow = backend as TensorflowBackend;
  if (tensorflow.isUsingGpuDevice) throw new Error("the native operations compute on the CPU only");
  const known = operationsOf(tensorflow);
  for (const [name, compute] of Object.entries(implementations)) {
    implementKernel(
      name,
      "tensorflow",
      (inputs, attributes) =>
        tf.tidy(() => compute(known, inputs, attributes) as tf.Tensor[]) as tf.TensorInfo[],
      // Nothing to compute is left to the twins, which know what comes of it.
      (inputs) => Object.values(inputs).every(({ shape }) => !shape.includes(0)),
    );
  }
}

export type { NativeOperations } from "./backend.ts";
