import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { biasedAttentionKernel } from "./biased-attention.ts";
import { type DecoderLinear, decoderStep, decodesAsOne } from "./decoder-step.ts";
import { drawsTokens, drawTokens } from "./draw-tokens.ts";
import { halfWeight } from "./half-weights.ts";
import { agree, drawsOf, noBranch } from "./kernel-twins.testing.ts";
import { packDecoder } from "./packed-decoder.ts";

const { draw, normal, indices } = drawsOf("decoding kernels");

/** Holds a whole decoding step, and the draw behind it. */
export function decodingKernelsAgree(): void {
  it.each(
    [
      "gpt2",
      "llama",
      "llama, biases, a window",
      "gpt2, bfloat16",
      "llama, bfloat16",
      "gpt2, packed",
      "llama, packed",
    ].flatMap((kind) => [
      [kind, 5, 10],
      [kind, 7, 16],
      [kind, 17, 8],
      [kind, 16, 12],
      [kind, 70, 8],
    ]) as [string, number, number][],
  )("reads a token through a whole decoder: %s, %d rows, heads of %d", (kind, rows, size) => {
    if (!decodesAsOne()) return;
    const [slots, heads, hidden, wide, vocabulary, layers] = [9, 6, 36, 50, 61, 2];
    const isGpt2 = kind.startsWith("gpt2");
    const stored = (from: number, to: number) => {
      const weight = tf.mul(normal(from, to), 0.3);
      if (!kind.includes("bfloat16")) return weight;
      return halfWeight(weight.dataSync() as Float32Array, [from, to]);
    };
    const kvHeads = isGpt2 ? heads : 2;
    const transposeWeight = !isGpt2;
    const biased = !kind.startsWith("llama") || kind.includes("biases");
    const dense = (from: number, to: number): DecoderLinear => ({
      weight: transposeWeight ? stored(to, from) : stored(from, to),
      ...(biased && { bias: normal(to) }),
    });
    const norm = (): DecoderLinear => ({
      weight: normal(hidden),
      ...(isGpt2 && { bias: normal(hidden) }),
    });
    const [width, kvWidth] = [heads * size, kvHeads * size];
    const cache = Array.from({ length: 2 * layers }, () => normal(rows, slots, kvWidth));
    const parts = Array.from({ length: layers }, (_, i) => ({
      attentionNorm: norm(),
      projections: isGpt2
        ? [dense(hidden, width + 2 * kvWidth)]
        : [dense(hidden, width), dense(hidden, kvWidth), dense(hidden, kvWidth)],
      output: dense(width, hidden),
      feedForwardNorm: norm(),
      ...(!isGpt2 && { gate: dense(hidden, wide) }),
      up: dense(hidden, wide),
      down: dense(wide, hidden),
      scale: 0.3 + 0.1 * i,
      window: kind.includes("window") ? 3 : 0,
    }));
    const shared = {
      embedding: stored(vocabulary, hidden),
      ...(isGpt2
        ? { positionEmbedding: stored(slots, hidden) }
        : { rotary: { cos: normal(slots, 4), sin: normal(slots, 4) } }),
      norm: norm(),
      head: stored(vocabulary, hidden),
      heads,
      kvHeads,
      epsilon: 1e-5,
      activation: isGpt2 ? ("geluTanh" as const) : ("silu" as const),
      transposeWeight,
    };
    const offsets = Int32Array.from({ length: rows }, (_, r) => r % slots);
    const tokens = {
      ids: indices(rows, vocabulary),
      positions: tf.tensor1d(offsets, "int32"),
      layout: tf.tensor2d(
        [...offsets].map((at) => [at, at + 1, noBranch]),
        [rows, 3],
        "int32",
      ),
    };
    const seen = normal(1, 20, 24);
    const bias = tf.mul(normal(6, 20, 20), 100);
    const whole = tf.tensor2d([0, 20, noBranch], [1, 3], "int32");
    agree(() => {
      // Leaves its arguments behind, a bias among them, which the step has none of.
      biasedAttentionKernel(
        { q: seen, k: seen, v: seen, layout: whole, bias },
        { heads: 6, kvHeads: 6, scale: 1, window: 0 },
      );
      const own = cache.map((x) => tf.variable(tf.add(x, 0)));
      const decoder = {
        ...shared,
        layers: parts.map((part, i) => ({ ...part, keys: own[2 * i]!, values: own[2 * i + 1]! })),
      };
      // The twin's panels are others than the backend's, and so are their numbers' places.
      const { decoder: read } = kind.includes("packed")
        ? packDecoder(decoder, { rows, steps: 64 })
        : { decoder };
      return [decoderStep(read, tokens), ...own];
    }, 1e-5);
  });

  it("draws tokens as the inverted distribution has them", () => {
    if (!drawsTokens()) return;
    for (const temperature of [1, 0.7, 0]) {
      const [rows, size] = [40, 700];
      const logits = tf.mul(normal(rows, size), 2);
      const uniforms = Float64Array.from(draw.uniform(rows));
      uniforms[0] = 0;
      uniforms[1] = 1 - 2 ** -53;
      agree(() => [drawTokens(logits, uniforms, { temperature })], 3e-6, 1);
    }
    const sure = tf.tensor2d([[Number.NEGATIVE_INFINITY, 3, Number.NEGATIVE_INFINITY]]);
    for (const u of [0, 0.5, 1 - 2 ** -53])
      expect([...drawTokens(sure, Float64Array.of(u)).dataSync()]).toEqual([1, 0, 0]);
    const broken = tf.tensor2d([[0, Number.NaN, 1]]);
    expect(drawTokens(broken, Float64Array.of(0.5)).dataSync()[2]).toBeNaN();
  });
}
