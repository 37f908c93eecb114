import type { Task } from "@fdiv/data";
import {
  type Adaptable,
  type CausalLm,
  detachLora,
  disposeModel,
  type Encoder,
  mergeLora,
  selectEncoderLayers,
  selectLayers,
  selectT5Layers,
  type T5,
  type WeightStorage,
} from "@fdiv/models";
import { loadCausalLm, loadEncoder, loadT5, localPath } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { LoraSettings } from "../config/schemas.ts";
import { addAdapter } from "../runs/adapter.ts";
import { hubProgress, kindToLoad } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import { decoderOnly } from "./decoder-only.ts";
import { encoderClassifier, headLabels } from "./encoder-classifier.ts";
import { encoderDecoder } from "./encoder-decoder.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import { smallerCausal, smallerEncoder, smallerT5 } from "./smaller-models.ts";

/** What a model is opened for. */
export interface KdUse {
  task?: Task;
  maxLength: number;
  /** How frozen weights lie in memory. */
  storage: WeightStorage;
  /** Of what is trained: whether its gradient computes each layer anew. */
  gradientCheckpointing?: boolean;
  /** Of what is trained: the adapter that is, in place of the weights. */
  lora?: LoraSettings | undefined;
}

/** Where a student's random numbers come from, and where what its adapter stands on can be found. */
export interface StudentStart {
  seed: number;
  baseModel: string;
}

/** A model that is to be trained, as its configuration wants its gradient computed, and its adapter on it. */
function trained<M extends Adaptable>(
  model: M,
  { gradientCheckpointing = false, lora }: KdUse,
  start: StudentStart,
): M {
  model.gradientCheckpointing = gradientCheckpointing;
  if (lora) addAdapter(model, lora, start);
  return model;
}

/** A model together with the students that can be made of it. */
export interface Opened {
  model: KdModel;
  /** A new student with some of this model's layers, or with other sizes. */
  student(from: KdConfig["student"], start: StudentStart, lora?: LoraSettings): KdModel;
}

/** What a family's models are made into. */
interface Kind<M extends Adaptable> {
  kdModel(model: M, name: string): KdModel;
  select(model: M, layers: number | number[], options: { trainable: boolean }): M;
  smaller(model: M, sizes: Record<string, unknown>, seed: number): M;
}

function opened<M extends Adaptable>(kind: Kind<M>, model: M, name: string, use: KdUse): Opened {
  return {
    model: kind.kdModel(model, name),
    student({ layers, config }, start, lora) {
      const made =
        layers === undefined
          ? kind.smaller(model, config!, start.seed)
          : kind.select(model, layers, { trainable: lora === undefined });
      return orDisposed(made, () => kind.kdModel(trained(made, { ...use, lora }, start), "student"));
    },
  };
}

function openCausal(causal: CausalLm, name: string, use: KdUse): Opened {
  const kdModel = (model: CausalLm, as: string) => decoderOnly(model, { ...use, name: as });
  return opened({ kdModel, select: selectLayers, smaller: smallerCausal }, causal, name, use);
}

function openEncoder(encoder: Encoder, name: string, use: KdUse): Opened {
  const { task } = use;
  if (!task) throw new ConfigError(`${name} is an encoder, which predicts no texts; give a task.`);
  const kdModel = (model: Encoder, as: string) => encoderClassifier(model, { ...use, task, name: as });
  return opened({ kdModel, select: selectEncoderLayers, smaller: smallerEncoder }, encoder, name, use);
}

function openT5(t5: T5, name: string, use: KdUse): Opened {
  const { task } = use;
  if (!task) throw new ConfigError(`${name} is an encoder-decoder, which answers questions; give a task.`);
  const kdModel = (model: T5, as: string) => encoderDecoder(model, { ...use, task, name: as });
  return opened({ kdModel, select: selectT5Layers, smaller: smallerT5 }, t5, name, use);
}

export interface OpenFor {
  /** Whether it is trained; one that is not must have what the task needs. */
  trainable: boolean;
  /** Of a fresh head, and of a fresh adapter. */
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
  const kind = await kindToLoad(path, session);
  const trainsWeights = trainable && use.lora === undefined;
  const held = { trainable: trainsWeights, storage: trainsWeights ? ("float32" as const) : use.storage };
  const open = <M extends Adaptable>(model: M, as: (model: M, name: string, use: KdUse) => Opened): Opened =>
    orDisposed(model, () => {
      if (trainable) trained(model, use, { seed, baseModel: reference });
      else if (model.lora) {
        // What a teacher says is kept by its weights' hash, and its layers make students.
        mergeLora(model);
        detachLora(model);
      }
      return as(model, reference, use);
    });
  if (kind === "encoder-decoder") return open(await loadT5(path, held), openT5);
  if (kind === "encoder") {
    const head = trainable && use.task ? { ...headLabels(use.task), seed } : {};
    return open(await loadEncoder(path, { ...held, ...head }), openEncoder);
  }
  const more = { hub, ...(tokenizer !== undefined && { tokenizer }) };
  return open(await loadCausalLm(path, { ...held, ...more }), openCausal);
}

/** What f makes of a model, which is freed where f fails. */
function orDisposed<T>(model: Adaptable, f: () => T): T {
  try {
    return f();
  } catch (error) {
    disposeModel(model);
    throw error;
  }
}
