import { activationBytes, type CausalLm, trainableParameters } from "@fdiv/models";
import { type HubProgress, loadCausalLm, type ModelKind, modelKind } from "@fdiv/models/node";
import { countParameters, parameterBytes } from "@fdiv/tensor-core";
import { ConfigError } from "../config/config-file.ts";
import type { DpoConfig, SftConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";
import { addAdapter } from "./adapter.ts";

const millions = (count: number): string =>
  count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e3).toFixed(1)} k`;

export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/**
 * What this process takes by now, model included, and what training adds: gradients, moments, and activations of a full micro-batch or,
 * where samples are compared with a reference that is loaded for it, that reference.
 */
function expectedPeak(model: CausalLm, tokens: number, loadsReference: boolean): number {
  const trained = parameterBytes(trainableParameters(model));
  const { gradientCheckpointing = false, lora } = model;
  const activations = activationBytes(model.config, {
    tokens,
    gradientCheckpointing,
    trains: lora ? "adapters" : "weights",
  });
  const reference = loadsReference ? parameterBytes(model.parameters) : 0;
  return process.memoryUsage().rss + 3 * trained + Math.max(activations, reference);
}

/** Loads a model to train, with a fresh adapter when the configuration asks for one, and says how large it is, and what training will take. */
export async function openModel(
  {
    model: path,
    lora,
    seed,
    gradientCheckpointing,
    microBatchTokens,
    storage,
  }: Pick<
    DpoConfig | SftConfig,
    "model" | "lora" | "seed" | "gradientCheckpointing" | "microBatchTokens" | "storage"
  >,
  session: Session,
  { loadsReference = false } = {},
): Promise<CausalLm> {
  if (storage === "bfloat16" && !lora)
    throw new ConfigError(
      "storage: bfloat16 is for frozen weights, and without an adapter every weight is trained; add lora, or leave storage out.",
    );
  const model = await loadCausalLm(path, {
    trainable: lora === undefined,
    storage,
    hub: hubProgress(session),
  });
  if (lora) addAdapter(model, lora, { seed, baseModel: path });
  model.gradientCheckpointing = gradientCheckpointing;
  const trained = trainableParameters(model);
  const { layers, hiddenSize, modelType } = model.config;
  session.say(
    `model ${path}: ${modelType}, ${layers} layers of ${hiddenSize}, ${millions(countParameters(model.parameters))} parameters, ` +
      `${millions(countParameters(trained))} trained; ${mebibytes(expectedPeak(model, microBatchTokens, loadsReference))} of memory expected at the peak`,
  );
  return model;
}

/** Which kind of model is there; of what can't be told a decoder, loading which will say what is wrong. */
export const kindToLoad = (path: string, session: Session): Promise<ModelKind> =>
  modelKind(path, hubProgress(session)).catch(() => "decoder" as const);

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
