import * as tf from "@tensorflow/tfjs-core";
import { isHalfWeight } from "../half-weights.ts";

/** What the kernels need of TensorFlow.js' Node backend: it runs any operation that TensorFlow knows, by name. */
export interface TensorflowBackend extends tf.KernelBackend {
  binding: {
    TF_ATTR_INT: number;
    TF_ATTR_FLOAT: number;
    TF_ATTR_BOOL: number;
    TF_ATTR_TYPE: number;
    TF_FLOAT: number;
    TF_Version?: string;
  };
  isUsingGpuDevice: boolean;
  executeMultipleOutputs(
    name: string,
    attributes: OperationAttribute[],
    inputs: tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[];
}

interface OperationAttribute {
  name: string;
  type: number;
  value: number | boolean;
}

/** The addon that registers this package's own operations with TensorFlow, as `@fdiv/native` builds it. */
export interface NativeOperations {
  version: number;
  /** Threads that the operations use. */
  threads: number;
}

/** An attribute's value and what TensorFlow calls its type. */
export type Attribute = { float: number } | { int: number } | { bool: boolean };

/** What stands for a tensor that is not there. */
export const nothing = (): tf.Tensor => tf.zeros([0]);

/** Runs operations on one backend. */
export interface Operations {
  run(
    name: string,
    inputs: tf.TensorInfo[],
    outputs: number,
    attributes?: Record<string, Attribute>,
  ): tf.Tensor[];
  /** The product of matrices, b perhaps in bfloat16, or TensorFlow's own of batches. */
  product(a: tf.TensorInfo, b: tf.TensorInfo, transposeA: boolean, transposeB: boolean): tf.Tensor;
}

export function operationsOf(backend: TensorflowBackend): Operations {
  const { binding } = backend;
  const describe = (name: string, attribute: Attribute): OperationAttribute => {
    if ("float" in attribute) return { name, type: binding.TF_ATTR_FLOAT, value: attribute.float };
    if ("int" in attribute) return { name, type: binding.TF_ATTR_INT, value: attribute.int };
    return { name, type: binding.TF_ATTR_BOOL, value: attribute.bool };
  };
  const run: Operations["run"] = (name, inputs, outputs, attributes = {}) =>
    backend.executeMultipleOutputs(
      name,
      Object.entries(attributes).map(([key, attribute]) => describe(key, attribute)),
      inputs,
      outputs,
    );
  const products = [false, true].map((transposeA) =>
    [false, true].map((transposeB): OperationAttribute[] => [
      { name: "adj_x", type: binding.TF_ATTR_BOOL, value: transposeA },
      { name: "adj_y", type: binding.TF_ATTR_BOOL, value: transposeB },
      { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    ]),
  );
  return {
    run,
    product(a, b, transposeA, transposeB) {
      if (a.shape.length === 2)
        return run(isHalfWeight(b) ? "FdivHalfProduct" : "FdivProduct", [a, b, nothing()], 1, {
          transpose_a: { bool: transposeA },
          transpose_b: { bool: transposeB },
          kind: { int: 0 },
        })[0]!;
      const attributes = products[+transposeA]![+transposeB]!;
      return backend.executeMultipleOutputs("BatchMatMulV2", attributes, [a, b], 1)[0]!;
    },
  };
}
