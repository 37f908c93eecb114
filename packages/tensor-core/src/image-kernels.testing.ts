import * as tf from "@tensorflow/tfjs-core";
import { it } from "vitest";
import { conv2dInputGradKernel, conv2dKernel, conv2dWeightGradKernel } from "./conv2d.ts";
import { groupNormGradKernel, groupNormKernel } from "./group-norm.ts";
import { columnsImageKernel, imageColumnsKernel } from "./image-columns.ts";
import { agree, drawsOf } from "./kernel-twins.testing.ts";

const { normal } = drawsOf("image kernels");

/** Holds what computes on images. */
export function imageKernelsAgree(): void {
  it.each([
    [1, 1, 4, 2, "none"],
    [3, 49, 24, 8, "silu"],
    [5, 17, 36, 6, "gelu"],
    [2, 196, 65, 13, "silu"],
    [4, 9, 7, 1, "relu"],
    [20, 4, 10, 5, "geluTanh"],
  ] as const)(
    "normalises groups of [%d, %d, %d] in %d groups before %s, with weights of all examples' and of each one's own, and back",
    (batch, pixels, channels, groups, activation) => {
      const x = tf.add(normal(batch, pixels, channels), 3);
      const dy = normal(batch, pixels, channels);
      for (const shape of [[channels], [batch, channels]]) {
        const [weight, bias] = [normal(...shape), normal(...shape)];
        const forward = (of: tf.Tensor) =>
          groupNormKernel({ x: of, weight, bias }, { groups, epsilon: 1e-5, activation });
        agree(() => forward(x), 5e-6);
        const [, mean, inverseStd] = forward(x);
        const saved = { x, weight, bias, mean: mean!, inverseStd: inverseStd! };
        agree(() => groupNormGradKernel({ dy, ...saved }, { groups, activation }), 1e-5, 1);
        agree(() => forward(tf.add(x, 100)), 1e-3, 1);
      }
      const [weight, bias] = [normal(channels), normal(channels)];
      const image = tf.reshape(x, [batch, pixels, 1, 1, channels]);
      agree(() => groupNormKernel({ x: image, weight, bias }, { groups, epsilon: 1e-5, activation }), 5e-6);
    },
  );

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
    // By patches of 2 × 2: odd sides, uneven zeros, channels beside whole vectors, and enough of a batch for the weight's gradient.
    [24, 13, 15, 20, 36, 3, 1, [1, 1, 1, 1]],
    [12, 19, 30, 17, 47, 3, 1, [2, 0, 0, 1]],
    [64, 7, 7, 64, 33, 3, 1, [1, 1, 1, 1]],
    // More zeros than the window is wide, which the gradient crops.
    [9, 20, 21, 32, 16, 3, 1, [4, 3, 3, 5]],
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
