import { activate } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { blockParameters } from "../denoisers/block-parameters.ts";
import type { InitialParameter } from "../denoisers/initialise.ts";
import { embedLevel, scopeOf } from "../denoisers/unet-blocks.ts";
import { type Attend, ascend, descend, type Place } from "../denoisers/unet-path.ts";
import { ascentParameters, descentParameters } from "../denoisers/unet-path-parameters.ts";
import { textTransformer, textTransformerParameters } from "./text-transformer.ts";
import type { TextUnetConfig } from "./text-unet-config.ts";

type Named = ReadonlyMap<string, tf.Tensor>;

/** The level, counted from the full resolution down, of a place that attends; undefined where it does not. */
function attendingLevel(config: TextUnetConfig, place: Place, level: number): number | undefined {
  const last = config.blockChannels.length - 1;
  if (place === "middle") return last;
  if (place === "down") return config.downAttention[level] ? level : undefined;
  return config.upAttention[level] ? last - level : undefined;
}

const attendTo =
  (states: tf.Tensor): Attend<TextUnetConfig> =>
  (s, h, place, level) => {
    const at = attendingLevel(s.config, place, level);
    return at === undefined ? h : textTransformer(s, h, states, s.config.heads[at]!);
  };

function check(config: TextUnetConfig, x: tf.Tensor, states: tf.Tensor | undefined): asserts states {
  const divisor = 2 ** (config.blockChannels.length - 1);
  const [batch, height, width, channels] = x.shape;
  if (x.rank !== 4 || channels !== config.inChannels || height! % divisor !== 0 || width! % divisor !== 0)
    throw new RangeError(
      `textUnet: x has shape [${x.shape}], expected [batch, height, width, ${config.inChannels}] with sides that are multiples of ${divisor}.`,
    );
  if (!states)
    throw new RangeError("textUnet: there is no text; give its hidden states, of the empty text for none.");
  if (states.rank !== 3 || states.shape[0] !== batch || states.shape[2] !== config.textSize)
    throw new RangeError(
      `textUnet: the text's states have shape [${states.shape}], expected [${batch}, tokens, ${config.textSize}].`,
    );
}

function start(parameters: Named, config: TextUnetConfig, x: tf.Tensor, level: tf.Tensor1D) {
  const s = scopeOf(parameters, config);
  // Every block begins with the activation of the embedding: once is enough.
  const embedded = activate(embedLevel(s, level), "silu");
  return { s, embedded, centred: config.centreInput ? tf.sub(tf.mul(2, x), 1) : x };
}

/**
 * The U-Net of diffusers' UNet2DConditionModel on latents [batch, height, width, channels] that attends to a text's hidden states (Rombach et al. 2022,
 * https://arxiv.org/abs/2112.10752).
 *
 * @param level the timestep, [batch]
 * @param states [batch, tokens, text size]
 * @throws RangeError when x or states do not fit
 */
export function textUnet(
  parameters: Named,
  config: TextUnetConfig,
  x: tf.Tensor,
  level: tf.Tensor1D,
  states: tf.Tensor | undefined,
): tf.Tensor {
  check(config, x, states);
  const { s, embedded, centred } = start(parameters, config, x, level);
  const attend = attendTo(states);
  const { skips, middle } = descend(s, centred, embedded, attend);
  return ascend(s, middle, skips, embedded, attend);
}

/** The features of the way down and the middle alone, [batch, h, w, channels] each: what discriminator heads read. */
export function textUnetFeatures(
  parameters: Named,
  config: TextUnetConfig,
  x: tf.Tensor,
  level: tf.Tensor1D,
  states: tf.Tensor | undefined,
): tf.Tensor[] {
  check(config, x, states);
  const { s, embedded, centred } = start(parameters, config, x, level);
  return descend(s, centred, embedded, attendTo(states)).features;
}

/** Every parameter's shape and start, by diffusers' names. */
export function textUnetParameters(config: TextUnetConfig): Map<string, InitialParameter> {
  const parameters = blockParameters(config);
  const width = config.blockChannels[0]!;
  const inner = 4 * width;
  const attention = (name: string, channels: number, place: Place, level: number) => {
    if (attendingLevel(config, place, level) !== undefined)
      textTransformerParameters(parameters, config, name, channels);
  };
  parameters.affine("time_embedding.linear_1", [inner, width]);
  parameters.affine("time_embedding.linear_2", [inner, inner]);
  const skips = descentParameters(parameters, config, inner, attention);
  ascentParameters(parameters, config, skips, inner, attention);
  return parameters.specs;
}
