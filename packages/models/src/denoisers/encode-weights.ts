import { encodeSafetensors } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";

/** Parameters as the bytes of a safetensors file, F32, with the mark by which PyTorch's readers know their own. */
export async function encodeWeights(parameters: ReadonlyMap<string, tf.Tensor>): Promise<Uint8Array> {
  const tensors = [];
  for (const [name, tensor] of parameters)
    tensors.push({
      name,
      dtype: "F32" as const,
      shape: tensor.shape,
      data: Float32Array.from(await tensor.data()),
    });
  return encodeSafetensors(tensors, { format: "pt" });
}
