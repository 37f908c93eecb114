import { type CausalLm, disposeModel, type T5 } from "@fdiv/models";
import { loadCausalLm, loadT5 } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { addAdapter } from "../runs/adapter.ts";
import { hubProgress, kindToLoad } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import type { DpgConfig } from "./dpg-schema.ts";
import { seq2seqTexts } from "./seq2seq-texts.ts";
import { decoderTexts, type TextModel } from "./text-model.ts";

type ModelPart = Pick<DpgConfig, "model" | "tokenizer" | "lora" | "storage" | "seed">;

/** The model as texts, with a fresh adapter where one is asked for; freed where that fails. */
function asTexts<M extends CausalLm | T5>(
  model: M,
  { model: path, lora, seed }: ModelPart,
  texts: (model: M) => TextModel,
): TextModel {
  try {
    if (!model.tokenizer) throw new ConfigError(`${path}: a tokenizer is due, since features are of texts.`);
    if (lora) addAdapter(model, lora, { seed, baseModel: path });
    return texts(model);
  } catch (error) {
    disposeModel(model);
    throw error;
  }
}

/**
 * The model that a policy starts from, decoder-only or encoder-decoder, to be trained whole or by an adapter.
 *
 * @throws ConfigError where nothing is frozen that could be stored as asked, or it has no tokenizer
 */
export async function openTexts(config: ModelPart, session: Session): Promise<TextModel> {
  const { model: path, tokenizer, lora, storage } = config;
  if (storage === "bfloat16" && !lora)
    throw new ConfigError(
      "storage: bfloat16 is for frozen weights, and without an adapter every weight is trained; add lora, or leave storage out.",
    );
  const held = { trainable: lora === undefined, storage, hub: hubProgress(session) };
  if ((await kindToLoad(path, session)) === "encoder-decoder")
    return asTexts(await loadT5(path, held), config, seq2seqTexts);
  const model = await loadCausalLm(path, { ...held, ...(tokenizer !== undefined && { tokenizer }) });
  return asTexts(model, config, decoderTexts);
}
