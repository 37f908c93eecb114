import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { activationGradKernel, activationKernel } from "./activation.ts";
import { adamWKernel } from "./adamw.ts";
import { attentionGradKernel, attentionKernel } from "./attention.ts";
import { biasedAttentionGradKernel, biasedAttentionKernel } from "./biased-attention.ts";
import { cacheWriteKernel } from "./cache-write.ts";
import { squaredNormKernel } from "./clip.ts";
import { conv2dInputGradKernel, conv2dKernel, conv2dWeightGradKernel } from "./conv2d.ts";
import { crossEntropyGradKernel, crossEntropyKernel } from "./cross-entropy.ts";
import { type DecoderLinear, decoderStep, decodesAsOne } from "./decoder-step.ts";
import { drawsTokens, drawTokens } from "./draw-tokens.ts";
import { embeddingKernel, scatterAddKernel } from "./embedding.ts";
import { groupNormGradKernel, groupNormKernel } from "./group-norm.ts";
import { floatToBfloat16 } from "./half.ts";
import { computesWithHalfWeights, floatWeight, halfWeight, widened } from "./half-weights.ts";
import { columnsImageKernel, imageColumnsKernel } from "./image-columns.ts";
import { withGenericKernels } from "./kernel.ts";
import { layerNormGradKernel, layerNormKernel } from "./layer-norm.ts";
import { linearKernel, linearNoBiasKernel } from "./linear.ts";
import { logSoftmaxGradKernel, logSoftmaxKernel } from "./log-softmax.ts";
import { matMulKernel } from "./mat-mul.ts";
import { packDecoder } from "./packed-decoder.ts";
import { random } from "./random.ts";
import { rmsNormGradKernel, rmsNormKernel } from "./rms-norm.ts";
import { rotaryKernel } from "./rotary.ts";
import { selectedLogProbsGradKernel, selectedLogProbsKernel } from "./selected-log-probs.ts";
import { softmaxGradKernel, softmaxKernel } from "./softmax.ts";
import { sumRowsKernel } from "./sum-rows.ts";
import { swigluGradKernel, swigluKernel } from "./swiglu.ts";

/** Tensors of numbers drawn from a stream of its own name. */
export interface Draws {
  normal(...shape: number[]): tf.Tensor;
  indices(count: number, size: number): tf.Tensor1D;
}

export function drawsOf(name: string): Draws & { readonly draw: ReturnType<typeof random> } {
  const draw = random(name);
  return {
    draw,
    normal: (...shape) => tf.tensor(draw.normal(tf.util.sizeFromShape(shape)), shape),
    indices: (count, size) =>
      tf.tensor1d(
        Int32Array.from({ length: count }, () => draw.integer(size)),
        "int32",
      ),
  };
}

const { draw, normal, indices } = drawsOf("fast kernels");

/** Largest difference, relative to the largest number expected, or to a floor where the twin itself cancels. */
function difference(found: tf.Tensor, expected: tf.Tensor, floor: number): number {
  expect(found.shape).toEqual(expected.shape);
  const [a, b] = [found.dataSync(), expected.dataSync()];
  let scale = floor;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    if (Number.isNaN(a[i])) return Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(b[i]!));
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  }
  return worst / scale;
}

const sameBits = (a: tf.Tensor, b: tf.Tensor): boolean => {
  const [x, y] = [a.dataSync(), b.dataSync()];
  return x.every((value, i) => Object.is(value, y[i]));
};

/** Runs a fast kernel and its twin: the same outputs, and the same bits each time. */
export function agree(run: () => tf.Tensor[], tolerance = 2e-6, floor = 1e-6): void {
  const fast = run();
  const twin = withGenericKernels(run);
  expect(fast).toHaveLength(twin.length);
  for (const [i, tensor] of fast.entries())
    expect(difference(tensor, twin[i]!, floor)).toBeLessThan(tolerance);
  const again = run();
  for (const [i, tensor] of fast.entries()) expect(sameBits(again[i]!, tensor)).toBe(true);
}

/** Holds every fast kernel of the backend that has been started against its generic twin. */
export function fastKernelsAgree(): void {
  it.each([
    [1, 1, 1],
    [1, 7, 3],
    [5, 8, 4],
    [6, 8, 16],
    [13, 9, 5],
    [16, 64, 33],
    [17, 24, 600],
    [30, 520, 40],
    [97, 300, 30],
    [100, 37, 70],
    [193, 130, 520],
    [0, 4, 3],
    [3, 0, 4],
  ])("multiplies [%d, %d] over %d in every form", (m, n, k) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true]) {
        const a = transposeA ? normal(k, m) : normal(m, k);
        const b = transposeB ? normal(n, k) : normal(k, n);
        agree(() => matMulKernel({ a, b }, { transposeA, transposeB }));
      }
  });

  it.each([
    [1, 6, 8],
    [5, 14, 9],
    [16, 64, 34],
    [40, 530, 70],
    [130, 66, 600],
  ])("multiplies [%d, %d] over %d by bfloat16 weights", (m, n, k) => {
    if (!computesWithHalfWeights()) return;
    for (const transposeB of [false, true]) {
      const [rows, columns] = transposeB ? [n, 2 * Math.ceil(k / 2)] : [k, n];
      const inner = transposeB ? columns : k;
      const [x, bias] = [normal(m, inner), normal(n)];
      const weight = halfWeight(draw.normal(rows * columns), [rows, columns]);
      agree(() => [floatWeight(weight)]);
      // Bits that begin in the middle of an int32, as a part of a file may.
      const bits = new Uint16Array(rows * columns + 1).subarray(1);
      bits.set(floatToBfloat16(floatWeight(weight).dataSync() as Float32Array));
      expect(sameBits(widened(bits, [rows, columns]), floatWeight(weight))).toBe(true);
      agree(() => matMulKernel({ a: x, b: weight }, { transposeA: false, transposeB }));
      const attributes = {
        transposeWeight: transposeB,
        activation: "silu" as const,
        keepPreactivation: true,
      };
      agree(() => linearKernel({ x, weight, bias }, attributes), 5e-6, 1);
      agree(() => linearNoBiasKernel({ x, weight }, attributes), 5e-6, 1);
      const ids = indices(9, rows);
      agree(() => embeddingKernel({ table: weight, ids }, {}));
    }
  });

  it("scores tokens with a bfloat16 head", () => {
    if (!computesWithHalfWeights()) return;
    const [m, h, v] = [50, 24, 70];
    const [hidden, targets, dlogp] = [normal(m, h), indices(m, v), normal(m)];
    const headWeight = halfWeight(draw.normal(v * h), [v, h]);
    for (const chunk of [7, 64]) {
      const attributes = { chunk, weightGradient: false };
      agree(() => selectedLogProbsKernel({ hidden, headWeight, targets }, attributes), 5e-6);
      const logSumExp = selectedLogProbsKernel({ hidden, headWeight, targets }, attributes)[1]!;
      const inputs = { hidden, headWeight, targets, dlogp, logSumExp };
      agree(() => selectedLogProbsGradKernel(inputs, attributes), 5e-6);
    }
  });

  it("multiplies batches", () => {
    const [a, b] = [normal(3, 20, 11), normal(3, 11, 9)];
    agree(() => matMulKernel({ a, b }, { transposeA: false, transposeB: false }));
    const c = normal(3, 9, 11);
    agree(() => matMulKernel({ a, b: c }, { transposeA: false, transposeB: true }));
  });

  it.each(["none", "gelu", "geluTanh", "silu", "relu"] as const)("linear and activation %s", (activation) => {
    for (const [m, n, k] of [
      [1, 5, 3],
      [4, 24, 32],
      [40, 33, 18],
      [130, 64, 70],
    ] as const)
      for (const transposeWeight of [true, false]) {
        const [x, bias] = [normal(m, k), normal(n)];
        const weight = transposeWeight ? normal(n, k) : normal(k, n);
        for (const keepPreactivation of [true, false]) {
          const attributes = { transposeWeight, activation, keepPreactivation };
          agree(() => linearKernel({ x, weight, bias }, attributes), 5e-6, 1);
          agree(() => linearNoBiasKernel({ x, weight }, attributes), 5e-6, 1);
        }
      }
    for (const size of [1, 3, 6, 40_003]) {
      const [x, dy] = [tf.mul(normal(size), 4), normal(size)];
      agree(() => activationKernel({ x }, { activation }), 5e-6, 1);
      agree(() => activationGradKernel({ dy, x }, { activation }), 5e-6, 1);
    }
  });

  it("activations hold at extremes", () => {
    const x = tf.tensor1d([-1e4, -100, -30, 0, 30, 100, 1e4, 1e-20]);
    for (const activation of ["gelu", "geluTanh", "silu", "relu"] as const) {
      agree(() => activationKernel({ x }, { activation }), 1e-6);
      agree(() => activationGradKernel({ dy: tf.onesLike(x), x }, { activation }), 1e-6);
    }
  });

  it("gated linear unit", () => {
    for (const size of [1, 7, 20_000]) {
      const [gate, up, dy] = [normal(size), normal(size), normal(size)];
      agree(() => swigluKernel({ gate, up }, {}));
      agree(() => swigluGradKernel({ dy, gate, up }, {}));
    }
  });

  it.each([
    [1, 4],
    [3, 7],
    [40, 64],
    [70, 33],
    [0, 8],
  ])("norms of [%d, %d]", (m, n) => {
    const [x, dy, weight, bias] = [tf.add(normal(m, n), 2), normal(m, n), normal(n), normal(n)];
    agree(() => rmsNormKernel({ x, weight }, { epsilon: 1e-5 }));
    const [, inverseRms] = rmsNormKernel({ x, weight }, { epsilon: 1e-5 });
    agree(() => rmsNormGradKernel({ dy, x, weight, inverseRms: inverseRms! }, { epsilon: 1e-5 }), 1e-5);
    agree(() => layerNormKernel({ x, weight, bias }, { epsilon: 1e-5 }), 1e-5);
    const [, mean, inverseStd] = layerNormKernel({ x, weight, bias }, { epsilon: 1e-5 });
    agree(
      () => layerNormGradKernel({ dy, x, weight, mean: mean!, inverseStd: inverseStd! }, { epsilon: 1e-5 }),
      1e-5,
    );
    agree(() => sumRowsKernel({ x }, {}));
  });

  it.each([
    [1, 5],
    [33, 40],
    [50, 1003],
    [0, 4],
  ])("soft-max and entropies of [%d, %d]", (m, n) => {
    const [x, dy, targets] = [tf.mul(normal(m, n), 5), normal(m, n), indices(m, n)];
    agree(() => logSoftmaxKernel({ x }, {}));
    const [y] = logSoftmaxKernel({ x }, {});
    agree(() => logSoftmaxGradKernel({ dy, y: y! }, {}), 1e-5);
    agree(() => softmaxKernel({ x }, {}));
    const [p] = softmaxKernel({ x }, {});
    agree(() => softmaxGradKernel({ dy, y: p! }, {}), 1e-5);
    agree(() => crossEntropyKernel({ logits: x, targets }, {}));
    const [, logSumExp] = crossEntropyKernel({ logits: x, targets }, {});
    const dnll = normal(m);
    agree(() => crossEntropyGradKernel({ dnll, logits: x, targets, logSumExp: logSumExp! }, {}), 1e-5);
  });

  it("keeps far logits right", () => {
    const x = tf.tensor2d([
      [1e4, -1e4, 0],
      [-200, -200, -200],
      [Number.NEGATIVE_INFINITY, 0, 1],
    ]);
    agree(() => logSoftmaxKernel({ x }, {}));
  });

  it.each([1, 7, 100])("scores tokens from hidden states, %d rows a chunk", (chunk) => {
    const [hidden, headWeight, targets, dlogp] = [
      normal(40, 24),
      normal(130, 24),
      indices(40, 130),
      normal(40),
    ];
    for (const weightGradient of [true, false]) {
      const attributes = { chunk, weightGradient };
      agree(() => selectedLogProbsKernel({ hidden, headWeight, targets }, attributes), 5e-6);
      const [, logSumExp] = selectedLogProbsKernel({ hidden, headWeight, targets }, attributes);
      agree(
        () =>
          selectedLogProbsGradKernel(
            { dlogp, hidden, headWeight, targets, logSumExp: logSumExp! },
            attributes,
          ),
        5e-6,
      );
    }
  });

  const never = 2 ** 31 - 1;
  it.each<[string, number, number, number, number, number, number[][], number]>([
    [
      "causal",
      2,
      9,
      9,
      4,
      4,
      [
        [0, 9, never],
        [0, 9, never],
      ],
      0,
    ],
    [
      "grouped",
      2,
      21,
      21,
      4,
      2,
      [
        [0, 21, never],
        [0, 5, never],
      ],
      0,
    ],
    [
      "shared prompts",
      2,
      30,
      30,
      2,
      1,
      [
        [0, 10, 20],
        [0, 7, 11],
      ],
      0,
    ],
    [
      "a step of decoding",
      3,
      1,
      40,
      4,
      2,
      [
        [30, 31, never],
        [5, 6, never],
        [0, 1, never],
      ],
      0,
    ],
    ["a window", 1, 25, 25, 2, 2, [[0, 25, never]], 6],
    ["keys that are not there yet", 1, 4, 20, 2, 2, [[3, 4, never]], 0],
    [
      "all of a row's own keys",
      3,
      11,
      23,
      4,
      2,
      [
        [23, 23, 23],
        [23, 7, 23],
        [23, 1, 23],
      ],
      0,
    ],
  ])("attends: %s", (_, b, t, s, heads, kvHeads, rows, window) => {
    for (const d of [4, 8, 64, 20]) {
      const [q, k, v] = [normal(b, t, heads * d), normal(b, s, kvHeads * d), normal(b, s, kvHeads * d)];
      const layout = tf.tensor2d(rows, [b, 3], "int32");
      const attributes = { heads, kvHeads, scale: 1 / Math.sqrt(d), window };
      agree(() => attentionKernel({ q, k, v, layout }, attributes), 5e-6);
      const [out, logSumExp] = attentionKernel({ q, k, v, layout }, attributes);
      const dy = normal(b, t, heads * d);
      agree(
        () => attentionGradKernel({ dy, q, k, v, out: out!, logSumExp: logSumExp!, layout }, attributes),
        1e-5,
      );
      const given = { q, k, v, layout, bias: normal(heads, t, s) };
      agree(() => biasedAttentionKernel(given, attributes), 5e-6);
      const [biased, sums] = biasedAttentionKernel(given, attributes);
      agree(
        () => biasedAttentionGradKernel({ dy, ...given, out: biased!, logSumExp: sums! }, attributes),
        1e-5,
      );
    }
  });

  it.each([false, true])("rotates, interleaved %s", (interleaved) => {
    for (const [d, half] of [
      [8, 4],
      [6, 2],
      [64, 32],
    ] as const) {
      const [x, cos, sin] = [normal(2, 5, 3 * d), normal(20, half), normal(20, half)];
      const positions = tf.reshape(indices(10, 20), [2, 5]);
      for (const inverse of [false, true])
        agree(() => rotaryKernel({ x, cos, sin, positions }, { heads: 3, interleaved, inverse }));
    }
  });

  it("gathers, scatters and writes caches", () => {
    const [table, ids, rows] = [normal(50, 70), indices(120, 50), normal(120, 70)];
    agree(() => embeddingKernel({ table, ids }, {}));
    agree(() => scatterAddKernel({ rows, ids }, { size: 50 }), 1e-5);
    const layout = tf.tensor2d(
      [
        [2, 0, 0],
        [0, 0, 0],
      ],
      [2, 3],
      "int32",
    );
    const start = normal(2, 6, 5);
    const added = normal(2, 3, 5);
    agree(() => {
      const cache = tf.variable(start.clone().add(0));
      cacheWriteKernel({ cache, rows: added, layout }, {});
      return [cache];
    });
  });

  it("steps and measures parameters", () => {
    for (const size of [1, 6, 40_001]) {
      const [p, g, m, v] = [normal(size), normal(size), normal(size), tf.abs(normal(size))];
      const attributes = {
        learningRate: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weightDecay: 0.1,
        correction1: 0.4,
        correction2: 0.3,
        gradientScale: 0.5,
      };
      agree(() => {
        const [parameter, first, second] = [p, m, v].map((x) => tf.variable(tf.add(x, 0)));
        adamWKernel({ parameter: parameter!, gradient: g, m: first!, v: second! }, attributes);
        return [parameter!, first!, second!];
      });
      agree(() => squaredNormKernel({ x: g }, {}), 1e-5);
    }
  });

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
        [...offsets].map((at) => [at, at + 1, never]),
        [rows, 3],
        "int32",
      ),
    };
    const seen = normal(1, 20, 24);
    const bias = tf.mul(normal(6, 20, 20), 100);
    const whole = tf.tensor2d([0, 20, never], [1, 3], "int32");
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

  it.each([
    [1, 1, 4, 2],
    [3, 49, 24, 8],
    [5, 17, 36, 6],
    [2, 196, 65, 13],
    [4, 9, 7, 1],
  ])("normalises groups of [%d, %d, %d] in %d groups, and back", (batch, pixels, channels, groups) => {
    const x = tf.add(normal(batch, pixels, channels), 3);
    const [weight, bias, dy] = [normal(channels), normal(channels), normal(batch, pixels, channels)];
    agree(() => groupNormKernel({ x, weight, bias }, { groups, epsilon: 1e-5 }), 5e-6);
    const [, mean, inverseStd] = groupNormKernel({ x, weight, bias }, { groups, epsilon: 1e-5 });
    agree(
      () =>
        groupNormGradKernel(
          { dy, x, weight, mean: mean!, inverseStd: inverseStd! },
          { groups, epsilon: 1e-5 },
        ),
      1e-5,
      1,
    );
    const far = tf.add(x, 100);
    agree(() => groupNormKernel({ x: far, weight, bias }, { groups, epsilon: 1e-5 }), 1e-3, 1);
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

  it("starts thousands of short operations, whose tasks never run into each other", () => {
    const x = normal(64, 33);
    const expected = sumRowsKernel({ x }, {})[0]!.dataSync();
    for (let i = 0; i < 3000; i++) {
      const y = sumRowsKernel({ x }, {})[0]!;
      if (i % 100 === 0) expect(y.dataSync()).toEqual(expected);
      y.dispose();
    }
  });

  it.each([
    // batch, height, width, channels, outputs, kernel, stride, padding
    [2, 7, 9, 3, 5, 3, 1, [1, 1, 1, 1]],
    [1, 28, 28, 33, 40, 3, 1, [1, 1, 1, 1]],
    [9, 8, 6, 16, 17, 3, 2, [0, 1, 0, 1]],
    [40, 5, 5, 4, 32, 1, 1, [0, 0, 0, 0]],
    [2, 9, 9, 6, 3, 5, 2, [2, 2, 2, 2]],
    [3, 6, 6, 20, 1, 3, 1, [1, 1, 1, 1]],
    [3, 6, 7, 1, 70, 3, 1, [1, 1, 1, 1]],
    [2, 6, 5, 24, 2, 3, 1, [2, 0, 1, 3]],
    [2, 4, 4, 18, 8, 2, 1, [2, 2, 2, 2]],
    [1, 90, 70, 32, 9, 4, 2, [1, 1, 1, 1]],
  ] as [number, number, number, number, number, number, number, [number, number, number, number]][])(
    "convolves %d images of %d × %d × %d to %d channels, window %d, stride %d, zeros %s, and back",
    (batch, height, width, channels, outputs, kernel, stride, padding) => {
      const shape = [batch, height, width, channels] as const;
      const window = { kernel: [kernel, kernel] as const, stride, padding };
      const [x, weight, bias] = [
        normal(...shape),
        normal(outputs, channels, kernel, kernel),
        normal(outputs),
      ];
      agree(() => conv2dKernel({ x, weight, bias }, window), 5e-6);
      agree(() => conv2dKernel({ x, weight }, window), 5e-6);
      const dy = normal(...conv2dKernel({ x, weight }, window)[0]!.shape);
      agree(() => conv2dInputGradKernel({ dy, weight }, { ...window, shape }), 5e-6);
      agree(() => conv2dWeightGradKernel({ dy, x }, window), 1e-5);
      const columns = imageColumnsKernel({ x }, window)[0]!;
      agree(() => imageColumnsKernel({ x }, window), 1e-9);
      agree(() => columnsImageKernel({ columns }, { ...window, shape }));
    },
  );
}
