import type * as tf from "@tensorflow/tfjs-core";
import { type Images, type Window, windowedSize } from "../image-columns.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import type { KernelModule } from "./module.ts";

/** Places of a patch of 4 × 4, by which 2 × 2 outputs are computed. */
const places = 16;
/** Most bytes of the partial sums of a weight's gradient. */
const mostPartialBytes = 64 << 20;

const rounded = (n: number, to: number): number => to * Math.ceil(n / to);

const suits = ({ kernel, stride }: Window, channels: number, outputs: number): boolean =>
  kernel[0] === 3 && kernel[1] === 3 && stride === 1 && channels % 4 === 0 && outputs % 4 === 0;

const bytesOfSums = (channels: number, outputs: number): number =>
  4 * places * rounded(channels, 6) * rounded(outputs, 8);

const channelsOf = (info: tf.TensorInfo): number => info.shape.at(-1)!;

/** Which convolutions Winograd's way can do; the columns of the others are multiplied. */
export const winogradFits = {
  FdivConv2d: ({ x, weight }: Record<string, tf.TensorInfo>, window: Window) =>
    suits(window, channelsOf(x!), weight!.shape[0]!),
  FdivConv2dInputGrad: (
    { dy }: Record<string, tf.TensorInfo>,
    { shape, ...window }: Window & { shape: Images },
  ) => suits(window, channelsOf(dy!), shape[3]),
  FdivConv2dWeightGrad: ({ dy, x }: Record<string, tf.TensorInfo>, window: Window) =>
    suits(window, channelsOf(x!), channelsOf(dy!)) &&
    blocking.parts * bytesOfSums(channelsOf(x!), channelsOf(dy!)) <= mostPartialBytes,
};

interface Patches {
  images: number;
  shape: Images;
  /** Zeros before the first row and column. */
  before: readonly [top: number, left: number];
  out: readonly [height: number, width: number];
  outputs: number;
}

/** How many patches there are, and what every kernel over them is told first. */
function patchArguments(
  module: KernelModule,
  { images, shape, before, out, outputs }: Patches,
  rows: number,
) {
  const [batch, ...sizes] = shape;
  const count = batch * Math.ceil(out[0] / 2) * Math.ceil(out[1] / 2);
  // Sixteen addresses, a channel's zeros, patches and what they are multiplied to or with.
  const bytes = 64 + 4 * shape[3] + 4 * places * blocking.patchBlock * (rows + rounded(outputs, 8));
  const scratch = module.scratch("worker", bytes * module.threads);
  return { count, args: [images, count, ...sizes, ...before, ...out, outputs, scratch, bytes] };
}

/** How many numbers lie between a weight's channels and between its outputs, and whether its taps run backwards. */
type WeightOrder = readonly [channelStep: number, outputStep: number, turned: boolean];

function convolve(
  module: KernelModule,
  patches: Patches,
  weight: number,
  [channelStep, outputStep, turned]: WeightOrder,
  bias: number,
  y: number,
): void {
  const { shape, outputs } = patches;
  const packed = module.scratch("packed", 4 * places * shape[3] * rounded(outputs, 8));
  const order = [channelStep, outputStep, turned ? 1 : 0];
  module.run("winogradWeight", [weight, packed, shape[3], outputs, ...order], Math.ceil(outputs / 8));
  const { count, args } = patchArguments(module, patches, shape[3]);
  module.run("winogradConvolve", [...args, packed, bias, y], Math.ceil(count / blocking.patchBlock));
}

/** Convolutions of 3 × 3 taps and stride 1, forward and back. */
export const winogradKernels: Implementations = {
  FdivConv2d(module, { x, weight, bias }, window: Window) {
    const shape = x!.shape as unknown as Images;
    const [out, outputs] = [windowedSize(shape, window), weight!.shape[0]!];
    const y = module.output([shape[0], ...out, outputs]);
    const [images, from, to] = [x!, weight!, y].map(module.pointer) as [number, number, number];
    const before = [window.padding[0], window.padding[2]] as const;
    const order = [9, 9 * shape[3], false] as const;
    convolve(
      module,
      { images, shape, before, out, outputs },
      from,
      order,
      bias ? module.pointer(bias) : 0,
      to,
    );
    return y;
  },
  FdivConv2dInputGrad(module, { dy, weight }, { shape, ...window }: Window & { shape: Images }) {
    const dx = module.output([...shape]);
    const [images, from, to] = [dy!, weight!, dx].map(module.pointer) as [number, number, number];
    const patches = {
      images,
      shape: dy!.shape as unknown as Images,
      before: [2 - window.padding[0], 2 - window.padding[2]] as const,
      out: [shape[1], shape[2]] as const,
      outputs: shape[3],
    };
    convolve(module, patches, from, [9 * shape[3], 9, true], 0, to);
    return dx;
  },
  FdivConv2dWeightGrad(module, { dy, x }, window: Window) {
    const shape = x!.shape as unknown as Images;
    const [out, outputs] = [windowedSize(shape, window), channelsOf(dy!)];
    const dweight = module.output([outputs, shape[3], 3, 3]);
    const before = [window.padding[0], window.padding[2]] as const;
    const patches = { images: module.pointer(x!), shape, before, out, outputs };
    const { args } = patchArguments(module, patches, rounded(shape[3], 6));
    const sums = module.scratch("partial", blocking.parts * bytesOfSums(shape[3], outputs));
    module.run("winogradSums", [...args, module.pointer(dy!), sums], blocking.parts);
    module.run("winogradWeightGrad", [sums, module.pointer(dweight), shape[3], outputs], shape[3]);
    return dweight;
  },
};
