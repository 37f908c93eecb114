import * as tf from "@tensorflow/tfjs-core";
import { defineKernel, implementKernel } from "./kernel.ts";

/** How a window moves over images. */
export interface Window {
  kernel: readonly [height: number, width: number];
  stride: number;
  /** Zeros added around: top, bottom, left, right. */
  padding: readonly [top: number, bottom: number, left: number, right: number];
}

type Shape = readonly [batch: number, height: number, width: number, channels: number];

/** Height and width of what the window yields. */
export function windowedSize(
  [, height, width]: Shape,
  { kernel, stride, padding }: Window,
): [number, number] {
  const [top, bottom, left, right] = padding;
  return [
    Math.floor((height + top + bottom - kernel[0]) / stride) + 1,
    Math.floor((width + left + right - kernel[1]) / stride) + 1,
  ];
}

/** The image behind each place of the window, one slice a place, and its range in the padded image. */
function places(shape: Shape, window: Window): { begin: number[]; size: number[] }[] {
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
    const shape = x.shape as unknown as Shape;
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
export const columnsImageKernel = defineKernel<{ columns: tf.Tensor }, Window & { shape: Shape }>({
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
  const [batch, height, width, channels] = x.shape as unknown as Shape;
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

/** What is used of TensorFlow.js' wasm backend. */
interface HeapBackend extends tf.KernelBackend {
  makeOutput(shape: number[], dtype: "float32"): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

/** The whole memory as floats, and where a tensor begins in it. */
function place(backend: HeapBackend, info: tf.TensorInfo): { heap: Float32Array; at: number } {
  const view = backend.typedArrayFromHeap(info);
  return { heap: new Float32Array(view.buffer), at: view.byteOffset / 4 };
}

/** Calls `visit` with each run of neighbouring numbers that an image and its columns share; `clear` with the runs in the padding. */
function eachRun(
  shape: Shape,
  window: Window,
  visit: (image: number, column: number, length: number) => void,
  clear: (column: number, length: number) => void,
): void {
  const [batch, height, width, channels] = shape;
  const [outHeight, outWidth] = windowedSize(shape, window);
  const { kernel, stride, padding } = window;
  const run = kernel[1] * channels;
  let column = 0;
  for (let b = 0; b < batch; b++)
    for (let oy = 0; oy < outHeight; oy++)
      for (let ox = 0; ox < outWidth; ox++) {
        const left = ox * stride - padding[2];
        const from = Math.max(0, -left);
        const to = Math.min(kernel[1], width - left);
        for (let ky = 0; ky < kernel[0]; ky++, column += run) {
          const y = oy * stride + ky - padding[0];
          if (y < 0 || y >= height || to <= from) {
            clear(column, run);
            continue;
          }
          if (from > 0) clear(column, from * channels);
          if (to < kernel[1]) clear(column + to * channels, (kernel[1] - to) * channels);
          visit(
            ((b * height + y) * width + left + from) * channels,
            column + from * channels,
            (to - from) * channels,
          );
        }
      }
}

// The stock slices, pads and concatenations copy every number several times; both sides are in one memory here.
implementKernel("FdivImageColumns", "wasm", (inputs, attributes, backend) => {
  const wasm = backend as HeapBackend;
  const window = attributes as Window;
  const shape = inputs.x!.shape as unknown as Shape;
  const [height, width] = windowedSize(shape, window);
  const out = wasm.makeOutput(
    [shape[0] * height * width, window.kernel[0] * window.kernel[1] * shape[3]],
    "float32",
  );
  const to = place(wasm, out);
  const from = place(wasm, inputs.x!);
  const { heap } = to;
  eachRun(
    shape,
    window,
    (image, column, length) => {
      if (length >= 16) heap.copyWithin(to.at + column, from.at + image, from.at + image + length);
      else for (let i = 0; i < length; i++) heap[to.at + column + i] = heap[from.at + image + i]!;
    },
    (column, length) => heap.fill(0, to.at + column, to.at + column + length),
  );
  return out;
});

implementKernel("FdivColumnsImage", "wasm", (inputs, attributes, backend) => {
  const wasm = backend as HeapBackend;
  const { shape, ...window } = attributes as Window & { shape: Shape };
  const out = wasm.makeOutput([...shape], "float32");
  const to = place(wasm, out);
  const from = place(wasm, inputs.columns!);
  const { heap } = to;
  heap.fill(0, to.at, to.at + shape[0] * shape[1] * shape[2] * shape[3]);
  eachRun(
    shape,
    window,
    (image, column, length) => {
      const [a, b] = [to.at + image, from.at + column];
      for (let i = 0; i < length; i++) heap[a + i] = heap[a + i]! + heap[b + i]!;
    },
    () => {},
  );
  return out;
});
