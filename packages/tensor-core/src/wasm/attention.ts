import type * as tf from "@tensorflow/tfjs-core";
import type { Implementations } from "./implementations.ts";
import { float, type KernelModule } from "./module.ts";

interface Attributes {
  heads: number;
  kvHeads: number;
  scale: number;
  window: number;
}

/** The arguments that both directions share; gradients and outputs go into the slots that are left. */
function argumentsOf(
  module: KernelModule,
  { q, k, v, layout, bias }: Record<string, tf.TensorInfo>,
  { heads, kvHeads, scale, window }: Attributes,
  out: tf.TensorInfo,
  logSumExp: tf.TensorInfo,
  gradients: readonly tf.TensorInfo[],
) {
  const [b, t, width] = q!.shape as [number, number, number];
  const s = k!.shape[1]!;
  // Two rows of scores a thread, each a multiple of a vector.
  const scratchBytes = 8 * (s + 8);
  const scratch = module.scratch("worker", scratchBytes * module.threads);
  const at = (info: tf.TensorInfo | undefined): number => (info ? module.pointer(info) : 0);
  const [dy, dq, dk, dv, dbias] = gradients;
  const args = [
    ...[q, k, v, layout, out, logSumExp].map(at),
    b,
    t,
    s,
    heads,
    kvHeads,
    width / heads,
    float(scale),
    scratch,
    scratchBytes,
    ...[dy, dq, dk, dv].map(at),
    window,
    ...[bias, dbias].map(at),
  ];
  // A bias has one gradient for all rows, so that a head's rows are one task.
  return { args, tasks: dbias ? kvHeads : b * kvHeads };
}

function forward(module: KernelModule, inputs: Record<string, tf.TensorInfo>, attributes: Attributes) {
  const [b, t, width] = inputs.q!.shape as [number, number, number];
  const out = module.output([b, t, width]);
  const logSumExp = module.output([b, attributes.heads, t]);
  const { args, tasks } = argumentsOf(module, inputs, attributes, out, logSumExp, []);
  module.run("attention", args, tasks);
  return [out, logSumExp];
}

function backward(module: KernelModule, inputs: Record<string, tf.TensorInfo>, attributes: Attributes) {
  const { q, k, v, out, logSumExp, dy, bias } = inputs;
  const gradients = [q!, k!, v!, ...(bias ? [bias] : [])].map(({ shape }) => module.output([...shape]));
  const { args, tasks } = argumentsOf(module, inputs, attributes, out!, logSumExp!, [dy!, ...gradients]);
  module.run("attentionGrad", args, tasks);
  return gradients;
}

export const attentionKernels: Implementations = {
  FdivAttention: forward,
  FdivAttentionGrad: backward,
  FdivBiasedAttention: forward,
  FdivBiasedAttentionGrad: backward,
};

/** Whether the module's attention can do it: heads of whole vectors. */
export const attentionFits = (inputs: Record<string, tf.TensorInfo>, { heads }: Attributes): boolean =>
  (inputs.q!.shape.at(-1)! / heads) % 4 === 0;
