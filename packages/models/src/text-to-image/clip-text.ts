import { activate, add, attention, embedding, layerNorm } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { ParameterSpec } from "../family.ts";
import { initialParameters } from "../held-parameters.ts";
import type { Parameterised } from "../parameterised.ts";
import { parameter, project } from "../projection.ts";
import { noBranch } from "../token-rows.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type ClipTextConfig, clipTextConfig } from "./clip-text-config.ts";

/** CLIP's text encoder: an architecture and its parameters. */
export interface ClipText extends Parameterised {
  config: ClipTextConfig;
  tokenizer?: Tokenizer;
}

const prefix = "text_model.";
const layerName = (layer: number): string => `${prefix}encoder.layers.${layer}.`;

/** Every parameter by the name that transformers 4 gives it; 5 leaves the prefix out. */
export function clipTextParameters(config: ClipTextConfig): Map<string, ParameterSpec> {
  const { hiddenSize: size, intermediateSize: wide, initializerRange: std } = config;
  const specs = new Map<string, ParameterSpec>();
  const linear = (name: string, out: number, from: number) =>
    specs
      .set(`${name}.weight`, { shape: [out, from], initial: { std } })
      .set(`${name}.bias`, { shape: [out], initial: "zeros" });
  const norm = (name: string) =>
    specs
      .set(`${name}.weight`, { shape: [size], initial: "ones" })
      .set(`${name}.bias`, { shape: [size], initial: "zeros" });
  const table = (name: string, rows: number) =>
    specs.set(`${prefix}embeddings.${name}.weight`, { shape: [rows, size], initial: { std } });
  table("token_embedding", config.vocabularySize);
  table("position_embedding", config.positions);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = layerName(layer);
    for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"])
      linear(`${at}self_attn.${name}`, size, size);
    norm(`${at}layer_norm1`);
    linear(`${at}mlp.fc1`, wide, size);
    linear(`${at}mlp.fc2`, size, wide);
    norm(`${at}layer_norm2`);
  }
  norm(`${prefix}final_layer_norm`);
  return specs;
}

/** The name that a checkpoint's tensor has here; undefined for what is no parameter of the text's encoder. */
export function canonicalClipTextName(name: string): string | undefined {
  if (/position_ids$|^vision_model\.|^visual_projection\.|^text_projection\.|^logit_scale$/.test(name))
    return undefined;
  return name.startsWith(prefix) ? name : prefix + name;
}

/** A new encoder with random parameters. */
export function createClipText(
  options: Partial<ClipTextConfig> = {},
  init: { seed?: number | string; tokenizer?: Tokenizer } = {},
): ClipText {
  const config = clipTextConfig(options);
  const parameters = initialParameters(clipTextParameters(config), {
    seed: init.seed ?? 0,
    trainable: false,
  });
  return { config, parameters, ...(init.tokenizer && { tokenizer: init.tokenizer }) };
}

/** x·σ(1.702x), made of SiLU, which is one kernel. */
const quickGelu = (x: tf.Tensor): tf.Tensor => tf.div(activate(tf.mul(x, 1.702), "silu"), 1.702);

function layer(model: ClipText, at: string, x: tf.Tensor, layout: tf.Tensor): tf.Tensor {
  const { heads, normEpsilon, activation } = model.config;
  const norm = (name: string, h: tf.Tensor) =>
    layerNorm(h, parameter(model, `${at + name}.weight`), parameter(model, `${at + name}.bias`), normEpsilon);
  const through = (name: string, h: tf.Tensor) => project(model, at + name, h, false);
  const own = norm("layer_norm1", x);
  const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((name) => through(`self_attn.${name}`, own));
  const mixed = attention(q!, k!, v!, layout, { heads, kvHeads: heads });
  const attended = add(x, through("self_attn.out_proj", mixed));
  const wide = through("mlp.fc1", norm("layer_norm2", attended));
  const active = activation === "quickGelu" ? quickGelu(wide) : activate(wide, activation);
  return add(attended, through("mlp.fc2", active));
}

/**
 * The hidden states of texts after the last norm, each token seeing those before it (Radford et al. 2021, https://arxiv.org/abs/2103.00020): what Stable Diffusion attends to.
 *
 * @param ids [batch × tokens], at most `positions` tokens each
 * @param options.skip how many of the last layers are left out, diffusers' clip_skip; default 0
 * @returns [batch, tokens, hidden size]
 * @throws RangeError when ids or skip do not fit
 */
export function clipTextStates(
  model: ClipText,
  ids: Int32Array,
  batch: number,
  { skip = 0 }: { skip?: number } = {},
): tf.Tensor3D {
  const { config } = model;
  const tokens = ids.length / batch;
  if (!Number.isSafeInteger(tokens) || tokens < 1 || tokens > config.positions)
    throw new RangeError(
      `clipTextStates: ${ids.length} ids are not ${batch} texts of 1 to ${config.positions} tokens.`,
    );
  const wrong = ids.findIndex((id) => !(id >= 0 && id < config.vocabularySize));
  if (wrong >= 0)
    throw new RangeError(`clipTextStates: id ${ids[wrong]} is not one of ${config.vocabularySize} tokens.`);
  if (!Number.isSafeInteger(skip) || skip < 0 || skip >= config.layers)
    throw new RangeError(`clipTextStates: skip is ${skip}; the encoder has ${config.layers} layers.`);
  return tf.tidy(() => {
    const look = (name: string, index: Int32Array) =>
      embedding(parameter(model, `${prefix}embeddings.${name}.weight`), tf.tensor1d(index, "int32"));
    const positions = Int32Array.from(ids, (_, i) => i % tokens);
    const sum = add(look("token_embedding", ids), look("position_embedding", positions));
    let x = tf.reshape(sum, [batch, tokens, config.hiddenSize]);
    // A token sees itself and those before it, padding too: so it was trained.
    const layout = tf.tile(tf.tensor2d([[0, 0, noBranch]], [1, 3], "int32"), [batch, 1]);
    for (let i = 0; i < config.layers - skip; i++) {
      const from = x;
      x = tf.tidy(() => layer(model, layerName(i), from, layout)) as tf.Tensor3D;
    }
    const last = (part: string) => parameter(model, `${prefix}final_layer_norm.${part}`);
    return layerNorm(x, last("weight"), last("bias"), config.normEpsilon) as tf.Tensor3D;
  });
}
