import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { it } from "vitest";
import { attentionGradKernel, attentionKernel } from "./attention.ts";
import { embeddingKernel, scatterAddKernel } from "./embedding.ts";
import { agree, type Draws, drawsOf, noBranch, sumOf } from "./kernel-twins.testing.ts";
import { layerNormGradKernel, layerNormKernel } from "./layer-norm.ts";
import { linearKernel } from "./linear.ts";
import { logSoftmaxGradKernel, logSoftmaxKernel } from "./log-softmax.ts";
import { matMulKernel } from "./mat-mul.ts";
import { rmsNormGradKernel, rmsNormKernel } from "./rms-norm.ts";
import { selectedLogProbsGradKernel, selectedLogProbsKernel } from "./selected-log-probs.ts";

const size = (max: number) => fc.integer({ min: 1, max });
const numRuns = 30;

/** Runs a body on shapes, and on numbers, drawn at random; a shape that fails is shrunk to the least one that does. */
function overShapes<T extends unknown[]>(
  shapes: { [K in keyof T]: fc.Arbitrary<T[K]> },
  body: (draws: Draws, ...shape: T) => void,
): void {
  fc.assert(
    fc.property(fc.nat(), fc.tuple(...shapes), (seed, shape) => {
      tf.tidy(() => body(drawsOf(`random shapes ${seed}`), ...(shape as T)));
    }),
    { numRuns },
  );
}

/** Holds the kernels that training rests on against their twins on shapes that nobody thought of. */
export function randomShapesAgree(): void {
  it("multiplies any shapes in every form", () => {
    overShapes(
      [size(90), size(90), size(140), fc.boolean(), fc.boolean()],
      ({ normal }, m, n, k, transposeA, transposeB) => {
        const a = transposeA ? normal(k, m) : normal(m, k);
        const b = transposeB ? normal(n, k) : normal(k, n);
        agree(() => matMulKernel({ a, b }, { transposeA, transposeB }), 2e-6, sumOf(k));
      },
    );
  });

  it("applies layers of any shape", () => {
    const activations = fc.constantFrom("none", "gelu", "geluTanh", "silu", "relu" as const);
    overShapes([size(70), size(70), size(90), activations], ({ normal }, m, n, k, activation) => {
      const attributes = { transposeWeight: true, activation, keepPreactivation: true };
      const inputs = { x: normal(m, k), weight: normal(n, k), bias: normal(n) };
      agree(() => linearKernel(inputs, attributes as never), 2e-6, sumOf(k));
    });
  });

  it("normalises rows of any length", () => {
    overShapes([size(60), size(150)], ({ normal }, m, n) => {
      const [x, dy, weight, bias] = [tf.add(normal(m, n), 2), normal(m, n), normal(n), normal(n)];
      agree(() => rmsNormKernel({ x, weight }, { epsilon: 1e-5 }));
      const [, inverseRms] = rmsNormKernel({ x, weight }, { epsilon: 1e-5 });
      agree(() => rmsNormGradKernel({ dy, x, weight, inverseRms: inverseRms! }, { epsilon: 1e-5 }), 1e-5, 1);
      const [, mean, inverseStd] = layerNormKernel({ x, weight, bias }, { epsilon: 1e-2 });
      agree(() => layerNormKernel({ x, weight, bias }, { epsilon: 1e-2 }), 1e-5, 1);
      const inputs = { dy, x, weight, mean: mean!, inverseStd: inverseStd! };
      agree(() => layerNormGradKernel(inputs, { epsilon: 1e-2 }), 2e-5, 1);
    });
  });

  it("takes soft-maxes of rows of any length, and scores tokens from any hidden states", () => {
    overShapes([size(50), size(300), size(40), size(60)], ({ normal, indices }, m, v, h, chunk) => {
      const [x, dy] = [tf.mul(normal(m, v), 5), normal(m, v)];
      // What is subtracted is as large as the inputs, however small the difference.
      agree(() => logSoftmaxKernel({ x }, {}), 3e-6, 5);
      agree(() => logSoftmaxGradKernel({ dy, y: logSoftmaxKernel({ x }, {})[0]! }, {}), 1e-5, 1);
      const [hidden, headWeight, targets] = [normal(m, h), normal(v, h), indices(m, v)];
      const attributes = { chunk, weightGradient: true };
      agree(() => selectedLogProbsKernel({ hidden, headWeight, targets }, attributes), 5e-6, sumOf(h));
      const [, logSumExp] = selectedLogProbsKernel({ hidden, headWeight, targets }, attributes);
      const inputs = { dlogp: normal(m), hidden, headWeight, targets, logSumExp: logSumExp! };
      // Logits of a dozen and more are subtracted from each other, and what they err by is summed over the rows.
      agree(() => selectedLogProbsGradKernel(inputs, attributes), 1e-5, 10);
    });
  });

  it("attends in any layout", () => {
    overShapes(
      [size(3), size(24), size(3), size(3), size(40), fc.integer({ min: 0, max: 9 }), fc.nat()],
      ({ normal }, b, t, kvHeads, group, d, window, seed) => {
        const heads = kvHeads * group;
        // A prompt, and a second branch that sees the prompt and itself.
        const rows = Array.from({ length: b }, (_, i) => {
          const prefixEnd = 1 + ((seed + 7 * i) % t);
          const branchStart = prefixEnd + ((seed + 3 * i) % (t + 1 - prefixEnd));
          return (seed + i) % 3 === 0 ? [0, t, noBranch] : [0, prefixEnd, branchStart];
        });
        const layout = tf.tensor2d(rows, [b, 3], "int32");
        const [q, k, v] = [normal(b, t, heads * d), normal(b, t, kvHeads * d), normal(b, t, kvHeads * d)];
        const attributes = { heads, kvHeads, scale: 1 / Math.sqrt(d), window };
        agree(() => attentionKernel({ q, k, v, layout }, attributes), 5e-6, 1);
        const [out, logSumExp] = attentionKernel({ q, k, v, layout }, attributes);
        const inputs = { dy: normal(b, t, heads * d), q, k, v, out: out!, logSumExp: logSumExp!, layout };
        agree(() => attentionGradKernel(inputs, attributes), 1e-5, 1);
      },
    );
  });

  it("gathers and scatters any rows", () => {
    overShapes([size(60), size(70), size(130)], ({ normal, indices }, rows, width, count) => {
      const ids = indices(count, rows);
      const table = normal(rows, width);
      agree(() => embeddingKernel({ table, ids }, {}));
      const added = normal(count, width);
      agree(() => scatterAddKernel({ rows: added, ids }, { size: rows }), 1e-5, 1);
    });
  });
}
