import type * as tf from "@tensorflow/tfjs-core";
import type { CheckpointTensor } from "../checkpoint.ts";
import { initialParameters, readParameters } from "../held-parameters.ts";
import { checkAgainst } from "../parameter-check.ts";
import type { Parameterised } from "../parameterised.ts";
import { parameter } from "../projection.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { checkStorage, type HoldOptions } from "../weight-storage.ts";
import { type T5Config, type T5Options, t5Config } from "./t5-config.ts";
import { isT5Parameter, t5Parameters } from "./t5-parameters.ts";

/** A T5 (Raffel et al. 2019, https://arxiv.org/abs/1910.10683): an encoder, and a decoder that writes; every operation on it is a function. */
export interface T5 extends Parameterised {
  config: T5Config;
  tokenizer?: Tokenizer;
}

/** Whether a model of any kind is a T5. */
export const isT5 = (model: { config: object }): model is T5 => "decoderLayers" in model.config;

/**
 * A new T5 with random parameters, drawn as Hugging Face draws them.
 *
 * @throws where the config can't be, or weights can't be stored as asked.
 */
export function createT5(
  options: T5Options,
  init: { seed: number | string; tokenizer?: Tokenizer } & HoldOptions,
): T5 {
  checkStorage(init);
  const config = t5Config(options);
  const parameters = initialParameters(t5Parameters(config), init);
  return { config, parameters, ...(init.tokenizer && { tokenizer: init.tokenizer }) };
}

/** Whether a head is the shared table's copy: then it is tied, whatever the config says. */
async function isCopy(head: CheckpointTensor, shared: CheckpointTensor | undefined): Promise<boolean> {
  if (!shared || shared.shape.join() !== head.shape.join()) return false;
  const [a, b] = [await head.read(), await shared.read()];
  return a.every((value, i) => value === b[i]);
}

/**
 * Builds a T5 from a checkpoint. Its head is tied where the checkpoint has none of its own, or a copy of the embedding table.
 *
 * @throws one error that lists every missing, unexpected and mis-shaped tensor.
 */
export async function t5From(
  checkpoint: { config: T5Config; tensors: Iterable<CheckpointTensor>; tokenizer?: Tokenizer },
  options: HoldOptions = {},
): Promise<T5> {
  checkStorage(options);
  const all = [...checkpoint.tensors];
  const find = (name: string) => all.find((tensor) => tensor.name === name);
  const head = find("lm_head.weight");
  // Checkpoints without the shared table have it under the encoder's name.
  const shared = find("shared.weight") ?? find("encoder.embed_tokens.weight");
  const tiedHead = head === undefined || (await isCopy(head, shared));
  const config = { ...checkpoint.config, tiedHead };
  const tensors = all.filter(
    ({ name }) => isT5Parameter(name) && name !== "shared.weight" && !(tiedHead && name === "lm_head.weight"),
  );
  if (shared) tensors.push({ ...shared, name: "shared.weight" });
  checkAgainst(t5Parameters(config), config.modelType, tensors);
  const parameters = await readParameters(tensors, options);
  return { config, parameters, ...(checkpoint.tokenizer && { tokenizer: checkpoint.tokenizer }) };
}

/** The head's weight [vocabularySize, hiddenSize]: the embedding table where the head is tied. */
export function t5HeadWeight(model: T5): tf.Tensor2D {
  return parameter(model, model.config.tiedHead ? "shared.weight" : "lm_head.weight") as tf.Tensor2D;
}
