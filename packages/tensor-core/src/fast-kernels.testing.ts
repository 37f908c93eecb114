import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { activationGradKernel, activationKernel } from "./activation.ts";
import { adamWAllKernel, adamWKernel } from "./adamw.ts";
import { attentionKernelsAgree } from "./attention-kernels.testing.ts";
import { cacheWriteKernel } from "./cache-write.ts";
import { squaredNormKernel, squaredNormsKernel } from "./clip.ts";
import { crossEntropyGradKernel, crossEntropyKernel } from "./cross-entropy.ts";
import { decodingKernelsAgree } from "./decoding-kernels.testing.ts";
import { embeddingKernel, scatterAddKernel } from "./embedding.ts";
import { floatToBfloat16 } from "./half.ts";
import { computesWithHalfWeights, floatWeight, halfWeight, widened } from "./half-weights.ts";
import { imageKernelsAgree } from "./image-kernels.testing.ts";
import { agree, drawsOf, sameBits, sumOf } from "./kernel-twins.testing.ts";
import { layerNormGradKernel, layerNormKernel } from "./layer-norm.ts";
import { linearKernel, linearNoBiasKernel } from "./linear.ts";
import { logSoftmaxGradKernel, logSoftmaxKernel } from "./log-softmax.ts";
import { matMulKernel } from "./mat-mul.ts";
import { rmsNormGradKernel, rmsNormKernel } from "./rms-norm.ts";
import { selectedLogProbsGradKernel, selectedLogProbsKernel } from "./selected-log-probs.ts";
import { softmaxGradKernel, softmaxKernel } from "./softmax.ts";
import { sumRowsKernel } from "./sum-rows.ts";
import { swigluGradKernel, swigluKernel } from "./swiglu.ts";

const { draw, normal, indices } = drawsOf("fast kernels");

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
        agree(() => matMulKernel({ a, b }, { transposeA, transposeB }), 2e-6, Math.max(1, sumOf(k)));
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
      agree(
        () => {
          const [parameter, first, second] = [p, m, v].map((x) => tf.variable(tf.add(x, 0)));
          adamWKernel({ parameter: parameter!, gradient: g, m: first!, v: second! }, attributes);
          return [parameter!, first!, second!];
          // A single moment may all but cancel against its gradient.
        },
        2e-6,
        1,
      );
      agree(() => squaredNormKernel({ x: g }, {}), 1e-5);
    }
  });

  it("steps and measures many parameters at once", () => {
    const sizes = [3, 16_384, 1, 0, 50_000, 7, 16_380, 5];
    const drawn = sizes.map(
      (size) => [normal(size), normal(size), normal(size), tf.abs(normal(size))] as const,
    );
    const attributes = {
      learningRate: 0.01,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      weightDecays: sizes.map((_, i) => (i % 3) / 10),
      correction1: 0.4,
      correction2: 0.3,
      gradientScale: 0.5,
    };
    agree(
      () => {
        const inputs: Record<string, tf.Tensor> = {};
        const changed = drawn.flatMap(([p, g, m, v], i) => {
          const variables = [p, m, v].map((x) => tf.variable(tf.add(x, 0)));
          inputs[`g${i}`] = g;
          ["p", "m", "v"].forEach((kind, k) => {
            inputs[`${kind}${i}`] = variables[k]!;
          });
          return variables;
        });
        adamWAllKernel(inputs, attributes);
        return changed;
      },
      2e-6,
      1,
    );
    const gradients = Object.fromEntries(drawn.map(([, g], i) => [`x${i}`, g]));
    agree(() => squaredNormsKernel(gradients, {}), 1e-5);
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

  attentionKernelsAgree();
  decodingKernelsAgree();
  imageKernelsAgree();
}
