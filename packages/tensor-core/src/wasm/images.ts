import { type Window, windowedSize } from "../image-columns.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { float, type KernelModule } from "./module.ts";
import { sumOfParts } from "./row-kernels.ts";

type Images = readonly [batch: number, height: number, width: number, channels: number];

/** What both directions are told of a window over images: the images' sizes, the window, and what it yields. */
function windowArguments(shape: Images, window: Window): number[] {
  const [, ...image] = shape;
  const { kernel, stride, padding } = window;
  return [...image, ...kernel, stride, padding[0], padding[2], ...windowedSize(shape, window)];
}

/** Doubles of two sums a channel, and `more` single numbers, for every thread. */
const channelScratch = (module: KernelModule, channels: number, more: number): number =>
  module.scratch("worker", (16 + 4 * more) * channels * module.threads);

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
  FdivGroupNorm(module, { x, weight, bias }, { groups, epsilon }) {
    const [batch, pixels, channels] = x!.shape as [number, number, number];
    const outputs = [x!.shape, [batch, groups], [batch, groups]].map((shape) => module.output(shape));
    const pointers = [x!, weight!, bias!, ...outputs].map(module.pointer);
    const scratch = channelScratch(module, channels, 2);
    module.run("groupNorm", [...pointers, pixels, channels, groups, float(epsilon), scratch], batch);
    return outputs;
  },
  FdivGroupNormGrad(module, { dy, x, weight, mean, inverseStd }, { groups }) {
    const [batch, pixels, channels] = x!.shape as [number, number, number];
    const dx = module.output(x!.shape);
    const bytes = 4 * blocking.parts * channels;
    const partial = module.scratch("partial", 2 * bytes);
    const pointers = [dy!, x!, weight!, mean!, inverseStd!, dx].map(module.pointer);
    const scratch = channelScratch(module, channels, 3);
    const sizes = [batch, pixels, channels, groups, scratch];
    module.run("groupNormGrad", [...pointers, partial, partial + bytes, ...sizes], blocking.parts);
    return [dx, sumOfParts(module, partial, channels), sumOfParts(module, partial + bytes, channels)];
  },
};
