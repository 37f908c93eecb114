import { activate, attention, layerNorm } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { BlockParameters } from "../denoisers/block-parameters.ts";
import { allKeys, convolve, dense, normalise, type Scope } from "../denoisers/unet-blocks.ts";
import type { TextUnetConfig } from "./text-unet-config.ts";

/** Layer norm, of PyTorch's default ε. */
const norm = (s: Scope, x: tf.Tensor): tf.Tensor => layerNorm(x, s.get("weight"), s.get("bias"), 1e-5);

/** Attention of x [batch, n, channels] to what it sees [batch, m, size]. */
function attend(s: Scope, x: tf.Tensor, seen: tf.Tensor, heads: number): tf.Tensor {
  const [q, k, v] = (["to_q", "to_k", "to_v"] as const).map((name) =>
    dense(s.under(name), name === "to_q" ? x : seen),
  );
  const layout = allKeys(x.shape[0]!, seen.shape[1]!);
  return dense(s.under("to_out.0"), attention(q!, k!, v!, layout, { heads, kvHeads: heads }));
}

/** GEGLU and back: (a·gelu(b))·Wᵀ with [a, b] = x·Vᵀ (Shazeer 2020, https://arxiv.org/abs/2002.05202). */
function feedForward(s: Scope, x: tf.Tensor): tf.Tensor {
  const [value, gate] = tf.split(dense(s.under("net.0.proj"), x), 2, 2);
  return dense(s.under("net.2"), tf.mul(value!, activate(gate!, "gelu")));
}

/**
 * The transformer between a U-Net's residual blocks: pixels attend to each other, then to the text's hidden states, residual (Rombach et al. 2022,
 * https://arxiv.org/abs/2112.10752, section 3.3; diffusers' Transformer2DModel).
 *
 * @param h [batch, height, width, channels]
 * @param states [batch, tokens, text size]
 */
export function textTransformer(
  s: Scope<TextUnetConfig>,
  h: tf.Tensor,
  states: tf.Tensor,
  heads: number,
): tf.Tensor {
  return tf.tidy(() => {
    const [batch, height, width, channels] = h.shape as [number, number, number, number];
    const { linearProjection, transformerLayers } = s.config;
    const project = (name: string, x: tf.Tensor) =>
      linearProjection ? dense(s.under(name), x) : convolve(s.under(name), x, 0);
    // Of this norm alone the ε is fixed.
    const normal = normalise(s.under("norm"), h, { epsilon: 1e-6 });
    let x: tf.Tensor = tf.reshape(project("proj_in", normal), [batch, height * width, channels]);
    for (let i = 0; i < transformerLayers; i++) {
      const block = s.under(`transformer_blocks.${i}`);
      const own = norm(block.under("norm1"), x);
      x = tf.add(x, attend(block.under("attn1"), own, own, heads));
      x = tf.add(x, attend(block.under("attn2"), norm(block.under("norm2"), x), states, heads));
      x = tf.add(x, feedForward(block.under("ff"), norm(block.under("norm3"), x)));
    }
    return tf.add(project("proj_out", tf.reshape(x, h.shape)), h);
  });
}

/** Its parameters, by diffusers' names. */
export function textTransformerParameters(
  { affine, norm: addNorm }: BlockParameters,
  { linearProjection, transformerLayers, textSize }: TextUnetConfig,
  name: string,
  channels: number,
): void {
  const square = linearProjection ? [channels, channels] : [channels, channels, 1, 1];
  addNorm(`${name}.norm`, channels);
  affine(`${name}.proj_in`, square);
  for (let i = 0; i < transformerLayers; i++) {
    const block = `${name}.transformer_blocks.${i}`;
    for (const [part, seen] of [
      ["attn1", channels],
      ["attn2", textSize],
    ] as const) {
      affine(`${block}.${part}.to_q`, [channels, channels], { bias: false });
      affine(`${block}.${part}.to_k`, [channels, seen], { bias: false });
      affine(`${block}.${part}.to_v`, [channels, seen], { bias: false });
      affine(`${block}.${part}.to_out.0`, [channels, channels]);
    }
    for (const each of ["norm1", "norm2", "norm3"]) addNorm(`${block}.${each}`, channels);
    affine(`${block}.ff.net.0.proj`, [8 * channels, channels]);
    affine(`${block}.ff.net.2`, [channels, 4 * channels]);
  }
  affine(`${name}.proj_out`, square, { gain: 1e-3 });
}
