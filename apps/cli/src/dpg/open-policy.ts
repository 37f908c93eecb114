import { addLora, type CausalLm } from "@fdiv/models";
import { loadCausalLm, loadT5, modelKind } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { hubProgress } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import type { DpgConfig } from "./dpg-schema.ts";
import { seq2seqTexts } from "./seq2seq-texts.ts";
import { decoderTexts, type TextModel } from "./text-model.ts";

type ModelPart = Pick<DpgConfig, "model" | "tokenizer" | "lora" | "seed">;

/** Of what can't be told, loading a decoder will say what is wrong. */
const isEncoderDecoder = async (path: string, session: Session): Promise<boolean> =>
  (await modelKind(path, hubProgress(session)).catch(() => "decoder")) === "encoder-decoder";

/** A decoder-only model to be trained, with a fresh adapter where the configuration asks for one. */
export async function openDecoder(
  { model: path, tokenizer, lora, seed }: ModelPart,
  session: Session,
): Promise<CausalLm> {
  if (await isEncoderDecoder(path, session))
    throw new ConfigError(`${path}: an encoder-decoder model; this command takes decoder-only ones.`);
  const model = await loadCausalLm(path, {
    trainable: lora === undefined,
    hub: hubProgress(session),
    ...(tokenizer !== undefined && { tokenizer }),
  });
  if (!model.tokenizer) throw new ConfigError(`${path}: a tokenizer is due, since features are of texts.`);
  if (lora)
    addLora(model, {
      rank: lora.rank,
      seed,
      baseModel: path,
      ...(lora.targets && { targets: lora.targets }),
    });
  return model;
}

/** The model that a policy starts from, decoder-only or encoder-decoder. */
export async function openTexts(config: ModelPart, session: Session): Promise<TextModel> {
  if (!(await isEncoderDecoder(config.model, session)))
    return decoderTexts(await openDecoder(config, session));
  if (config.lora)
    throw new ConfigError("lora: adapters are for decoder-only models; train an encoder-decoder one whole.");
  const model = await loadT5(config.model, { hub: hubProgress(session) });
  if (!model.tokenizer)
    throw new ConfigError(`${config.model}: a tokenizer is due, since features are of texts.`);
  return seq2seqTexts(model);
}
