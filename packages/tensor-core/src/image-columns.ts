import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** How a window moves over images. */
export interface Window {
  kernel: readonly [height: number, width: number];
  stride: number;
  /** Zeros added around: top, bottom, left, right. */
  padding: readonly [top: number, bottom: number, left: number, right: number];
}

/** The shape of images. */
export type Images = readonly [batch: number, height: number, width: number, channels: number];

/** Height and width of what the window yields. */
export function windowedSize(
  [, height, width]: Images,
  { kernel, stride, padding }: Window,
): [number, number] {
  const [top, bottom, left, right] = padding;
  return [
    Math.floor((height + top + bottom - kernel[0]) / stride) + 1,
    Math.floor((width + left + right - kernel[1]) / stride) + 1,
  ];
}

/** The image behind each place of the window, one slice a place, and its range in the padded image. */
function places(shape: Images, window: Window): { begin: number[]; size: number[] }[] {
  const [outHeight, outWidth] = windowedSize(shape, window);
  const { kernel, stride } = window;
  const size = [shape[0], (outHeight - 1) * stride + 1, (outWidth - 1) * stride + 1, shape[3]];
  return Array.from({ length: kernel[0] * kernel[1] }, (_, at) => ({
    begin: [0, Math.floor(at / kernel[1]), at % kernel[1], 0],
    size,
  }));
}

const border = ([top, bottom, left, right]: Window["padding"]): [number, number][] => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

/** FdivImageColumns: the window's contents at each place of x [B, H, W, C], a row each: [B·outH·outW, kh·kw·C] (im2col). */
export const imageColumnsKernel = defineKernel<{ x: tf.Tensor }, Window>({
  name: "FdivImageColumns",
  generic: ({ x }, window) => {
    const shape = x.shape as unknown as Images;
    const padded = tf.pad(x, border(window.padding));
    const slices = places(shape, window).map(({ begin, size }) =>
      tf.stridedSlice(
        padded,
        begin,
        begin.map((from, axis) => from + size[axis]!),
        [1, window.stride, window.stride, 1],
      ),
    );
    const [height, width] = windowedSize(shape, window);
    const columns = window.kernel[0] * window.kernel[1] * shape[3];
    return tf.reshape(tf.concat(slices, 3), [shape[0] * height * width, columns]);
  },
});

/** FdivColumnsImage: the transpose of FdivImageColumns, each row's numbers added back where they came from; [B, H, W, C]. */
export const columnsImageKernel = defineKernel<{ columns: tf.Tensor }, Window & { shape: Images }>({
  name: "FdivColumnsImage",
  generic: ({ columns }, { shape, ...window }) => {
    const [batch, height, width, channels] = shape;
    const [outHeight, outWidth] = windowedSize(shape, window);
    const { kernel, stride, padding } = window;
    const places = tf.split(
      tf.reshape(columns, [batch, outHeight, outWidth, kernel[0] * kernel[1] * channels]),
      kernel[0] * kernel[1],
      3,
    );
    const [fullHeight, fullWidth] = [height + padding[0] + padding[1], width + padding[2] + padding[3]];
    const spread = places.map((place, at) => {
      const apart = stride === 1 ? place : dilate(place, stride);
      const [y, x] = [Math.floor(at / kernel[1]), at % kernel[1]];
      return tf.pad(apart, [
        [0, 0],
        [y, fullHeight - y - apart.shape[1]!],
        [x, fullWidth - x - apart.shape[2]!],
        [0, 0],
      ]);
    });
    return tf.slice(tf.addN(spread), [0, padding[0], padding[2], 0], [batch, height, width, channels]);
  },
});

/** Puts stride − 1 zeros between neighbours. */
function dilate(x: tf.Tensor, stride: number): tf.Tensor {
  const [batch, height, width, channels] = x.shape as unknown as Images;
  const apart = tf.pad(tf.reshape(x, [batch * height, width, 1, channels]), [
    [0, 0],
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  const rows = tf.pad(tf.reshape(apart, [batch, height, 1, width * stride * channels]), [
    [0, 0],
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  const all = tf.reshape(rows, [batch, height * stride, width * stride, channels]);
  return tf.slice(all, [0, 0, 0, 0], [batch, (height - 1) * stride + 1, (width - 1) * stride + 1, channels]);
}
