import { join } from "node:path";
import { floatWeight, weightShape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CheckpointTensor } from "../checkpoint.ts";
import { copyModel, disposeModel, type Parameterised } from "../parameterised.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { writeFolder, writeJson } from "./atomic-file.ts";
import { writeTokenizer } from "./tokenizer-folder.ts";
import { isWeightFile, type WeightType, writeWeights } from "./weights-folder.ts";

const torchNames = { F32: "float32", F16: "float16", BF16: "bfloat16" };

export interface FolderOptions {
  /** Default F32. */
  dtype?: WeightType;
  /** Weights beyond this go into several files; default 5 GB, as Hugging Face has it. */
  shardBytes?: number;
}

/** What a Hugging Face folder of any kind of model holds. */
export interface ModelFolder {
  /** `config.json`, whose dtype is that of the weights. */
  json: Record<string, unknown>;
  tensors: CheckpointTensor[];
  tokenizer?: Tokenizer | undefined;
  /** `generation_config.json` */
  generationConfig?: Record<string, unknown> | undefined;
  /** The tokenizer's `model_max_length`. */
  maxLength: number;
}

/** Parameters in memory as tensors to write; those in bfloat16 are widened one at a time. */
export const tensorsOf = (parameters: ReadonlyMap<string, tf.Tensor>): CheckpointTensor[] =>
  Array.from(parameters, ([name, tensor]) => ({
    name,
    shape: [...weightShape(tensor)],
    read: async () => {
      const whole = tf.tidy(() => tf.keep(floatWeight(tensor)));
      const values = (await whole.data()) as Float32Array;
      if (whole !== tensor) whole.dispose();
      return values;
    },
  }));

/** Runs f on a model whose adapter, where one is on, is merged into its weights; the model itself stays as it is. */
export async function withAdapterMerged<M extends Parameterised, T>(
  model: M,
  f: (model: M) => Promise<T>,
): Promise<T> {
  if (!model.lora?.enabled || model.lora.merged) return f(model);
  const merged = copyModel(model);
  try {
    return await f(merged);
  } finally {
    disposeModel(merged);
  }
}

/** Writes a model as a Hugging Face folder, which appears whole or not at all; tensors pass through memory one at a time. */
export async function writeModelFolder(
  folder: string,
  { json, tensors, tokenizer, generationConfig, maxLength }: ModelFolder,
  { dtype = "F32", shardBytes = 5e9 }: FolderOptions = {},
): Promise<void> {
  const write = async (temporary: string) => {
    await writeWeights(temporary, tensors, dtype, shardBytes);
    if (tokenizer) await writeTokenizer(temporary, tokenizer, maxLength);
    if (generationConfig) await writeJson(join(temporary, "generation_config.json"), generationConfig);
    const { dtype: _, ...rest } = json;
    await writeJson(join(temporary, "config.json"), { ...rest, torch_dtype: torchNames[dtype] });
  };
  await writeFolder(folder, write, isWeightFile);
}
