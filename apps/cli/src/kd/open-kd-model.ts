import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Task } from "@fdiv/data";
import { type CausalLm, type CausalLmOptions, createCausalLm, disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { hubProgress } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import { decoderOnly } from "./decoder-only.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import { selectCausalLayers } from "./select-layers.ts";

/** What a model is opened for. */
export interface KdUse {
  task?: Task;
  maxLength: number;
}

/** A model together with what others are made of. */
export interface Opened {
  model: KdModel;
  /** A new student with some of this model's layers, or with other sizes. */
  student(from: KdConfig["student"], seed: number): KdModel;
}

const named = (value: string): string =>
  value.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function openCausal(causal: CausalLm, name: string, use: KdUse): Opened {
  return {
    model: decoderOnly(causal, { ...use, name }),
    student({ layers, config }, seed) {
      const made =
        layers === undefined
          ? createCausalLm(
              {
                ...sizesOf(causal),
                ...Object.fromEntries(Object.entries(config!).map(([key, value]) => [named(key), value])),
                vocabularySize: causal.config.vocabularySize,
              } as CausalLmOptions,
              { seed, tokenizer: causal.tokenizer! },
            )
          : selectCausalLayers(causal, layers);
      return decoderOnly(made, { ...use, name: "student" });
    },
  };
}

/** What a student shares with its teacher unless its configuration says otherwise: all but the sizes. */
function sizesOf({ config }: CausalLm): Partial<CausalLmOptions> {
  const { modelType, maxPositions, activation, tiedHead, bosId, eosIds, ropeTheta, normEpsilon } = config;
  return {
    modelType,
    maxPositions,
    activation,
    tiedHead,
    eosIds,
    ropeTheta,
    normEpsilon,
    ...(bosId !== undefined && { bosId }),
  };
}

/** Opens a model of any family as a teacher, or to be trained. */
export async function openKdModel(
  { model: path, tokenizer }: { model: string; tokenizer?: string | undefined },
  use: KdUse,
  { trainable, session }: { trainable: boolean; session: Session },
): Promise<Opened> {
  const options = { trainable, hub: hubProgress(session), ...(tokenizer !== undefined && { tokenizer }) };
  const causal = await loadCausalLm(path, options);
  try {
    return openCausal(causal, path, use);
  } catch (error) {
    disposeModel(causal);
    throw error;
  }
}

/** Whether a run's configuration is there and says the same as another one. */
export async function isSameConfig(output: string, config: object): Promise<boolean> {
  const text = await readFile(join(output, "config.json"), "utf8").catch(() => {
    throw new ConfigError(`${output}: there is a model but no config.json of the run that made it.`);
  });
  const { output: _, ...found } = JSON.parse(text) as Record<string, unknown>;
  const { output: __, ...wanted } = JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
  return JSON.stringify(sorted(found)) === JSON.stringify(sorted(wanted));
}

const sorted = (value: Record<string, unknown>): unknown =>
  Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
