import { addLora, type CausalLm } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { hubProgress } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import type { DpgConfig } from "./dpg-schema.ts";

/** The model that a policy starts from, with a fresh adapter where the configuration asks for one. */
export async function openPolicy(
  { model: path, tokenizer, lora, seed }: Pick<DpgConfig, "model" | "tokenizer" | "lora" | "seed">,
  session: Session,
): Promise<CausalLm> {
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
