import { addLora, type CausalLm, trainableParameters } from "@fdiv/models";
import { type HubProgress, loadCausalLm } from "@fdiv/models/node";
import { countParameters, parameterBytes } from "@fdiv/tensor-core";
import type { DpoConfig, SftConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";

const millions = (count: number): string =>
  count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e3).toFixed(1)} k`;

/** Loads a model to train, with a fresh adapter when the configuration asks for one, and says how large it is. */
export async function openModel(
  { model: path, lora, seed }: Pick<DpoConfig | SftConfig, "model" | "lora" | "seed">,
  session: Session,
): Promise<CausalLm> {
  const model = await loadCausalLm(path, { trainable: lora === undefined, hub: hubProgress(session) });
  if (lora) {
    const { rank, alpha, targets, rankStabilised } = lora;
    addLora(model, {
      rank,
      rankStabilised,
      seed,
      baseModel: path,
      ...(alpha !== undefined && { alpha }),
      ...(targets !== undefined && { targets }),
    });
  }
  const trained = trainableParameters(model);
  const { layers, hiddenSize, modelType } = model.config;
  session.say(
    `model ${path}: ${modelType}, ${layers} layers of ${hiddenSize}, ${millions(countParameters(model.parameters))} parameters, ` +
      `${millions(countParameters(trained))} trained; about ${Math.ceil((parameterBytes(model.parameters) + 3 * parameterBytes(trained)) / 2 ** 20)} MB ` +
      "with gradients and optimiser, beside activations",
  );
  return model;
}

/** Tells of downloads as they go on. */
export function hubProgress(session: Session) {
  let told = 0;
  return {
    onProgress: ({ file, received, total }: HubProgress) => {
      if (Date.now() - told < 2000) return;
      told = Date.now();
      const share = total ? ` of ${(total / 2 ** 20).toFixed(0)}` : "";
      session.say(`  downloading ${file}: ${(received / 2 ** 20).toFixed(0)}${share} MB`);
    },
  };
}
