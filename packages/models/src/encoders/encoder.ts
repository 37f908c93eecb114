import type * as tf from "@tensorflow/tfjs-core";
import type { CheckpointTensor } from "../checkpoint.ts";
import { initialParameters, readParameters } from "../held-parameters.ts";
import { checkAgainst } from "../parameter-check.ts";
import type { Parameterised } from "../parameterised.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { checkStorage, type HoldOptions } from "../weight-storage.ts";
import {
  checkHead,
  type EncoderConfig,
  type EncoderHead,
  type EncoderOptions,
  type EncoderTask,
  encoderConfig,
} from "./encoder-config.ts";
import { encoderFamilyOf } from "./encoder-families.ts";
import { encoderParameters, encoderTensors, isHeadName } from "./encoder-parameters.ts";

/** A bidirectional encoder, with or without a head: an architecture and its parameters; every operation on it is a function. */
export interface Encoder extends Parameterised {
  config: EncoderConfig;
  tokenizer?: Tokenizer;
}

export interface NewHead {
  /** Default: regression where there is one label, else classification; "none" leaves a head away. */
  task?: EncoderTask | "none";
  /** Names of the outputs, or how many there are. */
  labels?: readonly string[] | number;
  /** Of the head's random start; 0 by default. */
  seed?: number | string;
  /** "fresh" starts the head anew where the checkpoint has one. */
  head?: "fresh";
}

function headOf({ task, labels }: NewHead): EncoderHead | undefined {
  if (task === "none" || (labels === undefined && task === undefined)) return undefined;
  const names =
    labels === undefined || typeof labels === "number"
      ? Array.from({ length: Math.min(labels ?? 1, 65537) }, (_, id) => `LABEL_${id}`)
      : [...labels];
  if (labels === undefined && task !== "regression")
    throw new Error(`a head for ${task} needs labels: their names, or how many there are.`);
  const head = {
    task: task ?? (names.length === 1 ? ("regression" as const) : "classification"),
    labels: names,
  };
  checkHead(head);
  return head;
}

/**
 * A new encoder with random parameters, drawn as Hugging Face draws them: weights and tables normal with standard deviation
 * `initializerRange`, biases 0, norms 1.
 *
 * @throws where the family is unknown, the config can't be, or weights can't be stored as asked.
 */
export function createEncoder(
  options: EncoderOptions,
  init: { seed: number | string; tokenizer?: Tokenizer } & HoldOptions,
): Encoder {
  checkStorage(init);
  encoderFamilyOf(options.modelType);
  const config = encoderConfig(options);
  const parameters = initialParameters(encoderParameters(config), init, (name) => isHeadName(config, name));
  return { config, parameters, ...(init.tokenizer && { tokenizer: init.tokenizer }) };
}

/** What a checkpoint's own head is, if its tensors are there and are those of a sequence classifier. */
function ownHead(config: EncoderConfig, tensors: CheckpointTensor[]): EncoderHead | undefined {
  const { output } = encoderFamilyOf(config.modelType).head;
  const architectures = config.huggingFace.architectures;
  const classifies =
    !Array.isArray(architectures) || architectures.some((name) => /SequenceClassification$/.test(name));
  return classifies && tensors.some(({ name }) => name === `${output}.weight`) ? config.head : undefined;
}

function checkSameHead(asked: EncoderHead, own: EncoderHead): void {
  const named = asked.labels.every((label, id) => label === `LABEL_${id}` || label === own.labels[id]);
  if (asked.labels.length === own.labels.length && named) return;
  throw new Error(
    `the checkpoint's head has the labels ${own.labels.slice(0, 20).join(", ")}, but ${asked.labels.slice(0, 20).join(", ")} ` +
      'are asked; leave labels away to use its own, or ask for head: "fresh".',
  );
}

/**
 * Builds an encoder from a checkpoint's tensors, under any of the names that Hugging Face saves them by.
 *
 * Its own head is kept where there is one and no other is asked; a head or pooler that is wanted and not there starts at random. Heads are
 * float32 whatever the storage.
 *
 * @param config as the checkpoint's `config.json` reads; its head counts only where the tensors have one
 * @throws one error that lists every missing, unexpected and mis-shaped tensor, or says how the head differs from what is asked.
 */
export async function encoderFrom(
  checkpoint: { config: EncoderConfig; tensors: Iterable<CheckpointTensor>; tokenizer?: Tokenizer },
  options: NewHead & HoldOptions = {},
): Promise<Encoder> {
  checkStorage(options);
  const { modelType } = checkpoint.config;
  const family = encoderFamilyOf(modelType);
  const { trainable = true, storage = "float32" } = options;
  const tensors = encoderTensors(modelType, checkpoint.tensors);
  const own = ownHead(checkpoint.config, tensors);
  const asked = headOf(options);
  const keepsOwn = own !== undefined && options.task !== "none" && options.head !== "fresh";
  if (keepsOwn && asked) checkSameHead(asked, own);
  if (options.head === "fresh" && !asked)
    throw new Error('head: "fresh" needs labels: their names, or how many there are.');
  const head = keepsOwn ? { ...own, ...(options.task && { task: options.task as EncoderTask }) } : asked;
  const hasPooler = tensors.some(({ name }) => name === `${family.names.pooler}.weight`);
  const { head: _, ...bare } = checkpoint.config;
  // A pooler under a head that does not read it would only be carried along.
  const pooler = head ? family.head.pooled : hasPooler;
  const config: EncoderConfig = { ...bare, pooler, ...(head && { head }) };
  const specs = encoderParameters(config);
  const isPooler = (name: string) => name.startsWith(`${family.names.pooler}.`);
  // A trained head without the pooler that it was trained on is a broken checkpoint.
  const isNew = (name: string) => isHeadName(config, name) && !keepsOwn && !(isPooler(name) && hasPooler);
  const fresh = new Map([...specs].filter(([name]) => isNew(name)));
  const kept = new Map([...specs].filter(([name]) => !isNew(name)));
  const read = tensors.filter(({ name }) => kept.has(name) || !isHeadName(config, name));
  checkAgainst(kept, modelType, read);
  // A head is small, and may be trained beside an adapter over the rest.
  const parameters = await readParameters(read, { trainable, storage }, (name) => isHeadName(config, name));
  for (const [name, tensor] of initialParameters(fresh, { seed: options.seed ?? 0, trainable }))
    parameters.set(name, tensor);
  return { config, parameters, ...(checkpoint.tokenizer && { tokenizer: checkpoint.tokenizer }) };
}

/** An encoder's parameters under the names that Hugging Face gives them when saving: bare ones without the family's prefix. */
export function savedEncoderParameters({ config, parameters }: Encoder): Map<string, tf.Tensor> {
  const { prefix } = encoderFamilyOf(config.modelType).names;
  if (config.head) return parameters;
  return new Map(Array.from(parameters, ([name, tensor]) => [name.slice(prefix.length), tensor]));
}
