import { floatWeight, isHalfWeight } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import type { Parameterised } from "./parameterised.ts";

/** Default true; false makes the student's parameters frozen tensors. */
export interface SelectLayersOptions {
  trainable?: boolean;
}

/**
 * Indices of `count` of a stack's layers, spread evenly from the first to the last: round(i·(layers − 1)/(count − 1)); 6 of 12 are
 * 0, 2, 4, 7, 9, 11, as DistilBERT was begun (Sanh et al. 2019, https://arxiv.org/abs/1910.01108).
 *
 * @throws when there are not so many layers
 */
export function evenlySpacedLayers(layers: number, count: number): number[] {
  if (!Number.isInteger(count) || count < 1 || count > layers)
    throw new RangeError(`a student of ${count} layers can't be made of ${layers}; choose 1 to ${layers}.`);
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.round((i * (layers - 1)) / (count - 1)));
}

/** The chosen layers of a stack: how many of them, spread evenly, or which. @throws when one is not there or comes twice. */
export function chosenLayers(layers: number, chosen: number | readonly number[]): number[] {
  if (typeof chosen === "number") return evenlySpacedLayers(layers, chosen);
  const wrong = chosen.find((layer) => !Number.isInteger(layer) || layer < 0 || layer >= layers);
  if (wrong !== undefined)
    throw new RangeError(
      `there is no layer ${wrong}; the model's ${layers} layers count from 0 to ${layers - 1}.`,
    );
  if (chosen.length === 0 || new Set(chosen).size !== chosen.length)
    throw new RangeError(
      `a student's layers must be at least one and differ, got ${chosen.join(", ") || "none"}.`,
    );
  return [...chosen];
}

/** The name of a parameter in a student, or undefined where its layer was not chosen; names of no layer stay. */
export type Rename = (name: string) => string | undefined;

/** A rename by a stack of layers, whose names begin with `prefix(index)`. */
export function renameLayers(prefix: (index: number) => string, layers: number, chosen: number[]): Rename {
  const places = new Map(chosen.map((layer, place) => [layer, place]));
  return (name) => {
    for (let layer = 0; layer < layers; layer++) {
      if (!name.startsWith(prefix(layer))) continue;
      const place = places.get(layer);
      return place === undefined ? undefined : prefix(place) + name.slice(prefix(layer).length);
    }
    return name;
  };
}

/** Copies of the parameters that a rename keeps, with memory of their own; trainable ones are float32. */
export function renamedParameters(
  { parameters, lora }: Parameterised,
  rename: Rename,
  trainable: boolean,
): Map<string, tf.Tensor> {
  if (lora)
    throw new Error("a student is made of whole weights; merge and detach the model's LoRA adapter first.");
  const copies = new Map<string, tf.Tensor>();
  for (const [before, tensor] of parameters) {
    const name = rename(before);
    if (name === undefined) continue;
    const copy = tf.tidy(() => {
      // Nothing changes a bfloat16 weight in place, so that its copy may be another handle.
      if (!trainable && isHalfWeight(tensor)) return tf.keep(tf.clone(tensor));
      const own = tf.add(floatWeight(tensor), 0);
      return trainable ? tf.variable(own) : tf.keep(own);
    });
    copies.set(name, copy);
  }
  return copies;
}

/**
 * A student of a decoder-only model: some of its layers, by count (spread evenly) or index, with embeddings, norm and head; a copy.
 *
 * @throws when a layer is not there, or the model scales each layer's attention by its index, which a student would change.
 */
export function selectLayers(
  model: CausalLm,
  layers: number | readonly number[],
  { trainable = true }: SelectLayersOptions = {},
): CausalLm {
  const { config, tokenizer } = model;
  const chosen = chosenLayers(config.layers, layers);
  const scales = chosen.map((layer) => config.attentionScales[layer]!);
  if (new Set(config.attentionScales).size > 1)
    throw new Error("the model scales each layer's attention by its index; its layers make no student.");
  const { layer } = familyOf(config.modelType).decoderNames;
  const rename = renameLayers((index) => layer(index, ""), config.layers, chosen);
  const parameters = renamedParameters(model, rename, trainable);
  const slidingWindows = chosen.map((index) => config.slidingWindows[index]!);
  return {
    config: { ...config, layers: chosen.length, attentionScales: scales, slidingWindows },
    parameters,
    ...(tokenizer && { tokenizer }),
  };
}
