import type * as tf from "@tensorflow/tfjs-core";
import type { Activation } from "../activation.ts";
import { type Images, type Window, windowedSize } from "../image-columns.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { activationNumber } from "./linear-algebra.ts";
import { float, type KernelModule } from "./module.ts";
import { sumOfParts } from "./row-kernels.ts";

/** What both directions are told of a window over images: the images' sizes, the window, and what it yields. */
function windowArguments(shape: Images, window: Window): number[] {
  const [, ...image] = shape;
  const { kernel, stride, padding } = window;
  return [...image, ...kernel, stride, padding[0], padding[2], ...windowedSize(shape, window)];
}

/** Doubles of two sums a channel, and `more` single numbers, for every thread. */
const channelScratch = (module: KernelModule, channels: number, more: number): number =>
  module.scratch("worker", (16 + 4 * more) * channels * module.threads);

/** The sizes of images to normalise, and the bytes from one example's weights to the next's: 0 where all share one. */
function sizesOf(x: tf.TensorInfo, weight: tf.TensorInfo) {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const pixels = x.shape.slice(1, -1).reduce((product, size) => product * size, 1);
  return { batch, channels, pixels, ownBytes: weight.shape.length === 2 ? 4 * channels : 0 };
}

/** Kernels over images. */
export const imageKernels: Implementations = {
  FdivImageColumns(module, { x }, window: Window) {
    const shape = x!.shape as unknown as Images;
    const [height, width] = windowedSize(shape, window);
    const rows = shape[0] * height;
    const out = module.output([rows * width, window.kernel[0] * window.kernel[1] * shape[3]]);
    module.run("imageColumns", [...[x!, out].map(module.pointer), ...windowArguments(shape, window)], rows);
    return out;
  },
  FdivColumnsImage(module, { columns }, { shape, ...window }: Window & { shape: Images }) {
    const out = module.output([...shape]);
    const pointers = [columns!, out].map(module.pointer);
    module.run("columnsImage", [...pointers, ...windowArguments(shape, window)], shape[0]);
    return out;
  },
  FdivGroupNorm(module, { x, weight, bias }, { groups, epsilon, activation }) {
    const { batch, pixels, channels, ownBytes } = sizesOf(x!, weight!);
    const outputs = [x!.shape, [batch, groups], [batch, groups]].map((shape) => module.output(shape));
    const pointers = [x!, weight!, bias!, ...outputs].map(module.pointer);
    const scratch = channelScratch(module, channels, 2);
    const sizes = [pixels, channels, groups, float(epsilon), scratch];
    module.run(
      "groupNorm",
      [...pointers, ...sizes, activationNumber[activation as Activation], ownBytes],
      batch,
    );
    return outputs;
  },
  FdivGroupNormGrad(module, { dy, x, weight, bias, mean, inverseStd }, { groups, activation }) {
    const { batch, pixels, channels, ownBytes } = sizesOf(x!, weight!);
    const dx = module.output(x!.shape);
    const own = ownBytes > 0 ? [module.output(weight!.shape), module.output(weight!.shape)] : undefined;
    const bytes = 4 * blocking.parts * channels;
    const partial = own ? 0 : module.scratch("partial", 2 * bytes);
    const sums = own ? own.map(module.pointer) : [partial, partial + bytes];
    const pointers = [dy!, x!, weight!, mean!, inverseStd!, dx].map(module.pointer);
    const scratch = channelScratch(module, channels, 3);
    const sizes = [batch, pixels, channels, groups, scratch];
    const options = [module.pointer(bias!), activationNumber[activation as Activation], ownBytes];
    module.run("groupNormGrad", [...pointers, ...sums, ...sizes, ...options], blocking.parts);
    return [dx, ...(own ?? sums.map((sum) => sumOfParts(module, sum, channels)))];
  },
};
