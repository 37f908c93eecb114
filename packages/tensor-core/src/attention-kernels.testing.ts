import * as tf from "@tensorflow/tfjs-core";
import { it } from "vitest";
import { attentionGradKernel, attentionKernel } from "./attention.ts";
import { biasedAttentionGradKernel, biasedAttentionKernel } from "./biased-attention.ts";
import { agree, drawsOf, noBranch } from "./kernel-twins.testing.ts";
import { rotaryKernel } from "./rotary.ts";

const { normal, indices } = drawsOf("attention kernels");

/** Holds attention and rotation. */
export function attentionKernelsAgree(): void {
  it.each<[string, number, number, number, number, number, number[][], number]>([
    [
      "causal",
      2,
      9,
      9,
      4,
      4,
      [
        [0, 9, noBranch],
        [0, 9, noBranch],
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
        [0, 21, noBranch],
        [0, 5, noBranch],
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
        [30, 31, noBranch],
        [5, 6, noBranch],
        [0, 1, noBranch],
      ],
      0,
    ],
    ["a window", 1, 25, 25, 2, 2, [[0, 25, noBranch]], 6],
    ["keys that are not there yet", 1, 4, 20, 2, 2, [[3, 4, noBranch]], 0],
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
}
