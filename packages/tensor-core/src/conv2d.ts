import * as tf from "@tensorflow/tfjs-core";
import { gatherRows } from "./embedding.ts";
import {
  columnsImageKernel,
  type Images,
  imageColumnsKernel,
  type Window,
  windowedSize,
} from "./image-columns.ts";
import { defineKernel, hasFastKernel, lazyGradient } from "./kernel.ts";
import { linearKernel, linearNoBiasKernel } from "./linear.ts";
import { product } from "./mat-mul.ts";
import { checkRank, checkShape, printShape } from "./shape-check.ts";
import { sumRowsKernel } from "./sum-rows.ts";

export interface Conv2dOptions {
  /** [out] */
  bias?: tf.Tensor;
  /** Default 1. */
  stride?: number;
  /** Zeros around: on every side, or top, bottom, left, right. Default 0. */
  padding?: number | readonly [top: number, bottom: number, left: number, right: number];
}

/** [out, in, kh, kw] as the matrix [out, kh·kw·in] that columns are multiplied by. */
const asMatrix = (weight: tf.Tensor): tf.Tensor =>
  tf.reshape(tf.transpose(weight, [0, 2, 3, 1]), [weight.shape[0]!, -1]);

/** Whether the window is one pixel, so that the image's pixels are its columns. */
const isPointwise = ({ kernel, stride, padding }: Window): boolean =>
  kernel[0] === 1 && kernel[1] === 1 && stride === 1 && padding.every((zeros) => zeros === 0);

const columnsOf = (x: tf.Tensor, window: Window): tf.Tensor =>
  isPointwise(window) ? tf.reshape(x, [-1, x.shape[3]!]) : imageColumnsKernel({ x }, window)[0]!;

const linearAttributes = { transposeWeight: true, activation: "none", keepPreactivation: false } as const;

/** FdivConv2d: x [B, H, W, C] under a window of weights [out, in, kh, kw], and the bias. */
export const conv2dKernel = defineKernel<
  { x: tf.Tensor; weight: tf.Tensor; bias?: tf.Tensor | undefined },
  Window
>({ name: "FdivConv2d", generic: ({ x, weight, bias }, window) => forward(x, weight, bias, window) });

/** FdivConv2dInputGrad: dx of that. */
export const conv2dInputGradKernel = defineKernel<
  { dy: tf.Tensor; weight: tf.Tensor },
  Window & { shape: Images }
>({
  name: "FdivConv2dInputGrad",
  generic: ({ dy, weight }, { shape, ...window }) => inputGradient(dy, weight, shape, window),
});

/** FdivConv2dWeightGrad: dweight [out, in, kh, kw] of that. */
export const conv2dWeightGradKernel = defineKernel<{ dy: tf.Tensor; x: tf.Tensor }, Window>({
  name: "FdivConv2dWeightGrad",
  generic: ({ dy, x }, window) => weightGradient(dy, x, window),
});

function forward(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | undefined, window: Window): tf.Tensor {
  const columns = columnsOf(x, window);
  const matrix = asMatrix(weight);
  const [y] = bias
    ? linearKernel({ x: columns, weight: matrix, bias }, linearAttributes)
    : linearNoBiasKernel({ x: columns, weight: matrix }, linearAttributes);
  return tf.reshape(y!, [
    x.shape[0]!,
    ...windowedSize(x.shape as unknown as Images, window),
    weight.shape[0]!,
  ]);
}

/** [out, in, kh, kw] turned round as the matrix [kh·kw·out, in], which takes the columns of dy to dx. */
function turnedMatrix(weight: tf.Tensor): tf.Tensor {
  const [out, channels, height, width] = weight.shape as unknown as Images;
  const places = tf.reshape(tf.transpose(weight, [2, 3, 0, 1]), [height * width, out * channels]);
  const backwards = Int32Array.from({ length: height * width }, (_, i) => height * width - 1 - i);
  return tf.reshape(gatherRows(places, tf.tensor1d(backwards, "int32")), [height * width * out, channels]);
}

/** dx: with stride 1 a convolution of dy with the weight turned round, else the columns' gradient added back. */
function inputGradient(dy: tf.Tensor, weight: tf.Tensor, shape: Images, window: Window): tf.Tensor {
  const { kernel, stride, padding } = window;
  const fits =
    padding[0] < kernel[0] && padding[1] < kernel[0] && padding[2] < kernel[1] && padding[3] < kernel[1];
  if (stride === 1 && fits && !isPointwise(window)) {
    const [top, bottom, left, right] = padding;
    const columns = columnsOf(dy, {
      kernel,
      stride: 1,
      padding: [kernel[0] - 1 - top, kernel[0] - 1 - bottom, kernel[1] - 1 - left, kernel[1] - 1 - right],
    });
    return tf.reshape(product(columns, turnedMatrix(weight), false, false), [...shape]);
  }
  const rows = tf.reshape(dy, [-1, weight.shape[0]!]);
  const columns = product(rows, asMatrix(weight), false, false);
  return isPointwise(window)
    ? tf.reshape(columns, [...shape])
    : columnsImageKernel({ columns }, { ...window, shape })[0]!;
}

/** dweight [out, in, kh, kw] from dy's rows and x's columns. */
function weightGradient(dy: tf.Tensor, x: tf.Tensor, window: Window): tf.Tensor {
  const [height, width] = window.kernel;
  const [out, channels] = [dy.shape[3]!, x.shape[3]!];
  // The longer side first: it is what a product is cut into tasks by.
  const matrix = product(columnsOf(x, window), tf.reshape(dy, [-1, out]), true, false);
  return tf.transpose(tf.reshape(matrix, [height, width, channels, out]), [3, 2, 0, 1]);
}

/** By the backend's own convolution, which has all its gradients there. */
function stockConvolution(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  window: Window,
): tf.Tensor {
  const { kernel, stride, padding } = window;
  const [top, bottom, left, right] = padding;
  // Zeros that the convolution adds by itself need no copy of the images.
  const isSame = stride === 1 && padding.every((zeros, side) => 2 * zeros === kernel[side >> 1]! - 1);
  const padded =
    !isSame && padding.some((zeros) => zeros > 0)
      ? tf.pad(x, [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ])
      : x;
  const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
  const y = tf.conv2d(padded as tf.Tensor4D, filter, stride, isSame ? "same" : "valid");
  return bias ? tf.add(y, bias) : y;
}

/**
 * The convolution of images with filters in PyTorch's layout, cross-correlation as everywhere in the field.
 *
 * Windows of 3 × 3 at stride 1 go by Winograd's F(2 × 2, 3 × 3), on `tensorflow` for at least as many channels as a vector has, on wasm for multiples of four. The others are a direct sum on
 * `tensorflow`, and on wasm a product of the image's columns with the filters (im2col): TensorFlow.js has no gradient for filters there, and its own convolution packs filters once, so
 * that it goes on with old ones after an optimiser has changed them in place.
 *
 * @param x [batch, height, width, in]
 * @param weight [out, in, kernel height, kernel width]
 * @returns [batch, out height, out width, out]
 * @throws when shapes, stride or padding do not fit
 */
export function conv2d(x: tf.Tensor, weight: tf.Tensor, options: Conv2dOptions = {}): tf.Tensor {
  const { bias, stride = 1, padding = 0 } = options;
  checkRank("conv2d", "x", x, 4);
  checkRank("conv2d", "weight", weight, 4);
  const shape = x.shape as unknown as Images;
  const weightShape = weight.shape as unknown as Images;
  if (shape[3] !== weightShape[1])
    throw new Error(
      `conv2d: weight ${printShape(weight.shape)} ([out, in, height, width]) does not fit x ${printShape(x.shape)}, which has ${shape[3]} channels.`,
    );
  if (bias)
    checkShape("conv2d", "bias", bias, [weightShape[0]], `the outputs of weight ${printShape(weight.shape)}`);
  const zeros = typeof padding === "number" ? ([padding, padding, padding, padding] as const) : padding;
  if (!Number.isSafeInteger(stride) || stride < 1 || !zeros.every((n) => Number.isSafeInteger(n) && n >= 0))
    throw new Error(`conv2d: stride ${stride} and padding [${zeros}] must be integers, at least 1 and 0.`);
  const window: Window = { kernel: [weightShape[2], weightShape[3]], stride, padding: zeros };
  if (windowedSize(shape, window).some((size) => size < 1))
    throw new Error(
      `conv2d: x ${printShape(x.shape)} is smaller than the filters of weight ${printShape(weight.shape)}.`,
    );
  if (tf.getBackend() !== "wasm" && !hasFastKernel("FdivConv2d"))
    return stockConvolution(x, weight, bias, window);
  return lazyGradient(
    { x, weight, ...(bias && { bias }) },
    (save) => {
      save([x, weight]);
      return conv2dKernel({ x, weight, bias }, window)[0]!;
    },
    (dy, [savedX, savedWeight]) => ({
      x: () => conv2dInputGradKernel({ dy, weight: savedWeight! }, { ...window, shape })[0]!,
      weight: () => conv2dWeightGradKernel({ dy, x: savedX! }, window)[0]!,
      bias: () => sumRowsKernel({ x: dy }, {})[0]!,
    }),
  );
}

/** Images twice as high and wide, each pixel four times (nearest neighbour); [batch, 2·height, 2·width, channels]. */
export function upsample2x(x: tf.Tensor): tf.Tensor {
  checkRank("upsample2x", "x", x, 4);
  const [batch, height, width, channels] = x.shape as unknown as Images;
  return lazyGradient(
    { x },
    () => {
      const pixels = tf.reshape(x, [batch * height * width, channels]);
      const rows = tf.reshape(tf.concat([pixels, pixels], 1), [batch * height, 2 * width * channels]);
      return tf.reshape(tf.concat([rows, rows], 1), [batch, 2 * height, 2 * width, channels]);
    },
    (dy) => ({ x: () => tf.mul(4, tf.avgPool(dy as tf.Tensor4D, 2, 2, "valid")) }),
  );
}
