import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Task } from "@fdiv/data";
import {
  type CausalLm,
  type CausalLmOptions,
  createCausalLm,
  createEncoder,
  createT5,
  disposeModel,
  type Encoder,
  type EncoderOptions,
  encoderFamilies,
  type Parameterised,
  selectEncoderLayers,
  selectLayers,
  selectT5Layers,
  type T5,
  type T5Options,
} from "@fdiv/models";
import { loadCausalLm, loadEncoder, loadT5, localPath } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { hubProgress } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import { decoderOnly } from "./decoder-only.ts";
import { encoderClassifier, headLabels } from "./encoder-classifier.ts";
import { encoderDecoder } from "./encoder-decoder.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";

/** What a model is opened for. */
export interface KdUse {
  task?: Task;
  maxLength: number;
  /** Of what is trained: whether its gradient computes each layer anew. */
  gradientCheckpointing?: boolean;
}

/** A model that is to be trained, as its configuration wants its gradient computed. */
function trained<M extends Parameterised>(model: M, { gradientCheckpointing = false }: KdUse): M {
  model.gradientCheckpointing = gradientCheckpointing;
  return model;
}

/** A model together with the students that can be made of it. */
export interface Opened {
  model: KdModel;
  /** A new student with some of this model's layers, or with other sizes. */
  student(from: KdConfig["student"], seed: number): KdModel;
}

type Sizes = Record<string, unknown>;

/** Keys as Hugging Face writes them, hidden_size, are taken as well. */
const named = (sizes: Sizes): Sizes =>
  Object.fromEntries(
    Object.entries(sizes).map(([key, value]) => [
      key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );

/** The sizes that a student's configuration may name, beside what it has of its teacher. */
function sizesFrom(given: Sizes, known: readonly string[]): Sizes {
  const sizes = named(given);
  const unknown = Object.keys(sizes).find((key) => !known.includes(key));
  if (unknown)
    throw new ConfigError(`student.config: unknown key "${unknown}"; there are ${known.join(", ")}.`);
  const wrong = known.slice(0, 3).find((key) => typeof sizes[key] !== "number");
  if (wrong) throw new ConfigError(`student.config: ${wrong} is missing or no number.`);
  return sizes;
}

const essential = ["hiddenSize", "layers", "heads", "intermediateSize", "initializerRange"] as const;

function openCausal(causal: CausalLm, name: string, use: KdUse): Opened {
  return {
    model: decoderOnly(causal, { ...use, name }),
    student({ layers, config }, seed) {
      const made = layers === undefined ? smallerCausal(causal, config!, seed) : selectLayers(causal, layers);
      return decoderOnly(trained(made, use), { ...use, name: "student" });
    },
  };
}

function smallerCausal({ config, tokenizer }: CausalLm, sizes: Sizes, seed: number): CausalLm {
  const {
    modelType,
    vocabularySize,
    maxPositions,
    activation,
    tiedHead,
    bosId,
    eosIds,
    ropeTheta,
    normEpsilon,
  } = config;
  const options = {
    ...{ modelType, vocabularySize, maxPositions, activation, tiedHead, eosIds, ropeTheta, normEpsilon },
    ...(bosId !== undefined && { bosId }),
    ...sizesFrom(sizes, [...essential, "kvHeads", "headSize", "maxPositions", "tiedHead"]),
  };
  return createCausalLm(options as CausalLmOptions, { seed, tokenizer: tokenizer! });
}

function openEncoder(encoder: Encoder, name: string, use: KdUse): Opened {
  if (!use.task) throw new ConfigError(`${name} is an encoder, which predicts no texts; give a task.`);
  const options = { task: use.task, maxLength: use.maxLength };
  return {
    model: encoderClassifier(encoder, { ...options, name }),
    student({ layers, config }, seed) {
      const made =
        layers === undefined ? smallerEncoder(encoder, config!, seed) : selectEncoderLayers(encoder, layers);
      return encoderClassifier(trained(made, use), { ...options, name: "student" });
    },
  };
}

function smallerEncoder({ config, tokenizer }: Encoder, sizes: Sizes, seed: number): Encoder {
  const { modelType, vocabularySize, positions, firstPosition, tokenTypes, normEpsilon, activation, padId } =
    config;
  const options = {
    ...{ modelType, vocabularySize, positions, firstPosition, tokenTypes, normEpsilon, activation, padId },
    pooler: config.pooler,
    head: config.head,
    ...sizesFrom(sizes, [...essential, "positions"]),
  };
  return createEncoder(options as EncoderOptions, { seed, tokenizer: tokenizer! });
}

function openT5(t5: T5, name: string, use: KdUse): Opened {
  if (!use.task)
    throw new ConfigError(`${name} is an encoder-decoder, which answers questions; give a task.`);
  const options = { task: use.task, maxLength: use.maxLength };
  return {
    model: encoderDecoder(t5, { ...options, name }),
    student({ layers, config }, seed) {
      const made = layers === undefined ? smallerT5(t5, config!, seed) : selectT5Layers(t5, layers);
      return encoderDecoder(trained(made, use), { ...options, name: "student" });
    },
  };
}

function smallerT5({ config, tokenizer }: T5, sizes: Sizes, seed: number): T5 {
  const { modelType, vocabularySize, activation, gated, tiedHead, scaledHead, startId, eosIds, padId } =
    config;
  const options = {
    ...{ modelType, vocabularySize, activation, gated, tiedHead, scaledHead, startId, eosIds, padId },
    ...sizesFrom(sizes, [...essential.slice(0, 4), "decoderLayers", "headSize", "initializerFactor"]),
  };
  return createT5(options as T5Options, { seed, tokenizer: tokenizer! });
}

/** The `model_type` of a folder; undefined of a file, whose format says what it is. */
async function modelTypeOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return undefined;
  const text = await readFile(join(path, "config.json"), "utf8").catch(() => "{}");
  try {
    const { model_type: type } = JSON.parse(text) as { model_type?: unknown };
    return typeof type === "string" ? type : undefined;
  } catch {
    throw new ConfigError(`${path}: config.json is malformed.`);
  }
}

export interface OpenFor {
  /** Whether it is trained; one that is not must have what the task needs. */
  trainable: boolean;
  /** Of a fresh head. */
  seed: number;
  session: Session;
}

/** Opens a model of any family as a teacher, or to be trained. */
export async function openKdModel(
  { model: reference, tokenizer }: { model: string; tokenizer?: string | undefined },
  use: KdUse,
  { trainable, seed, session }: OpenFor,
): Promise<Opened> {
  const hub = hubProgress(session);
  const path = reference.startsWith("hf:") ? await localPath(reference, hub) : reference;
  const type = (await modelTypeOf(path)) ?? "";
  if (type === "t5" || type === "mt5") {
    const t5 = await loadT5(path, { trainable });
    return disposingOnFailure(t5, () => openT5(t5, reference, use), { ...use, trainable });
  }
  if (Object.hasOwn(encoderFamilies, type)) {
    const head = trainable && use.task ? { ...headLabels(use.task), seed } : {};
    const encoder = await loadEncoder(path, { trainable, ...head });
    return disposingOnFailure(encoder, () => openEncoder(encoder, reference, use), { ...use, trainable });
  }
  const causal = await loadCausalLm(path, { trainable, hub, ...(tokenizer !== undefined && { tokenizer }) });
  return disposingOnFailure(causal, () => openCausal(causal, reference, use), { ...use, trainable });
}

function disposingOnFailure(
  model: Parameterised,
  open: () => Opened,
  use: KdUse & { trainable: boolean },
): Opened {
  try {
    if (use.trainable) trained(model, use);
    return open();
  } catch (error) {
    disposeModel(model);
    throw error;
  }
}
