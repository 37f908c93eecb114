import { floatWeight, weightShape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "../causal-lm.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { copyModel, disposeModel } from "../parameterised.ts";
import { writeHuggingFaceFolder } from "./hugging-face-folder.ts";
import type { FolderOptions } from "./model-folder.ts";

/** A model in memory as a checkpoint; an adapter that is on must have been merged. */
export function checkpointOf({ config, parameters, tokenizer }: CausalLm): Checkpoint {
  const tensors = Array.from(parameters, ([name, tensor]) => ({
    name,
    shape: [...weightShape(tensor)],
    read: async () => {
      const whole = tf.tidy(() => tf.keep(floatWeight(tensor)));
      const values = (await whole.data()) as Float32Array;
      if (whole !== tensor) whole.dispose();
      return values;
    },
  }));
  return { config, tensors, ...(tokenizer && { tokenizer }) };
}

/**
 * Saves a model as a Hugging Face folder, which appears whole or not at all; an attached adapter that is on is merged into what is
 * saved (`saveAdapter` saves it alone).
 */
export async function saveCausalLm(
  model: CausalLm,
  folder: string,
  options: FolderOptions = {},
): Promise<void> {
  if (!model.lora?.enabled || model.lora.merged)
    return writeHuggingFaceFolder(checkpointOf(model), folder, options);
  const merged = copyModel(model);
  try {
    await writeHuggingFaceFolder(checkpointOf(merged), folder, options);
  } finally {
    disposeModel(merged);
  }
}
