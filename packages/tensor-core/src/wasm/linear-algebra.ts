import type * as tf from "@tensorflow/tfjs-core";
import type { Activation } from "../activation.ts";
import { isHalfWeight, weightShape } from "../half-weights.ts";
import { gemm, view } from "./gemm.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { float, type KernelModule } from "./module.ts";

export const activationNumber: Record<Activation, number> = {
  none: 0,
  gelu: 1,
  geluTanh: 2,
  silu: 3,
  relu: 4,
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function matMul(
  module: KernelModule,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
) {
  const [m, k] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const n = weightShape(b).at(transposeB ? -2 : -1)!;
  const half = isHalfWeight(b);
  const batch = a.shape.slice(0, -2);
  const out = module.output([...batch, m, n]);
  const [pa, pb, pc] = [module.pointer(a), module.pointer(b), module.pointer(out)];
  for (let i = 0; i < sizeOf(batch); i++)
    gemm(
      module,
      view(pa + 4 * i * m * k, m, k, transposeA),
      view(pb + 4 * i * k * n, k, n, transposeB, half),
      pc + 4 * i * m * n,
      [m, n, k],
    );
  return out;
}

function linear(
  module: KernelModule,
  { x, weight, bias }: Record<string, tf.TensorInfo>,
  {
    transposeWeight,
    activation,
    keepPreactivation,
  }: { transposeWeight: boolean; activation: Activation; keepPreactivation: boolean },
) {
  const [m, k] = x!.shape as [number, number];
  const n = weightShape(weight!)[transposeWeight ? 0 : 1]!;
  const y = module.output([m, n]);
  const kept = keepPreactivation && activation !== "none" ? module.output([m, n]) : undefined;
  gemm(
    module,
    view(module.pointer(x!), m, k, false),
    view(module.pointer(weight!), k, n, transposeWeight, isHalfWeight(weight!)),
    module.pointer(y),
    [m, n, k],
    {
      bias: bias ? module.pointer(bias) : 0,
      activation: activationNumber[activation],
      preactivation: kept ? module.pointer(kept) : 0,
    },
  );
  return kept ? [y, kept] : [y];
}

interface HeadAttributes {
  chunk: number;
  weightGradient: boolean;
}

function selectedLogProbs(
  module: KernelModule,
  inputs: Record<string, tf.TensorInfo>,
  { chunk }: HeadAttributes,
) {
  const { hidden, headWeight, targets } = inputs as Record<
    "hidden" | "headWeight" | "targets",
    tf.TensorInfo
  >;
  const [m, h] = hidden.shape as [number, number];
  const v = headWeight.shape[0]!;
  const half = isHalfWeight(headWeight);
  const logProbs = module.output([m]);
  const logSumExp = module.output([m]);
  const logits = module.scratch("values", 4 * Math.min(m, chunk) * v);
  const [ph, pw, pt] = [module.pointer(hidden), module.pointer(headWeight), module.pointer(targets)];
  const [pl, ps] = [module.pointer(logProbs), module.pointer(logSumExp)];
  for (let from = 0; from < m; from += chunk) {
    const rows = Math.min(chunk, m - from);
    gemm(module, view(ph + 4 * from * h, rows, h, false), view(pw, h, v, true, half), logits, [rows, v, h]);
    const args = [logits, pt + 4 * from, pl + 4 * from, ps + 4 * from, rows, v, float(1)];
    module.run("pickLogProb", args, Math.ceil(rows / blocking.rowSpan));
  }
  return [logProbs, logSumExp];
}

function selectedLogProbsGrad(
  module: KernelModule,
  inputs: Record<string, tf.TensorInfo>,
  { chunk, weightGradient }: HeadAttributes,
) {
  const { dlogp, hidden, headWeight, targets, logSumExp } = inputs as Record<
    "dlogp" | "hidden" | "headWeight" | "targets" | "logSumExp",
    tf.TensorInfo
  >;
  const [m, h] = hidden.shape as [number, number];
  const v = headWeight.shape[0]!;
  const half = isHalfWeight(headWeight);
  const dhidden = module.output([m, h]);
  const dweight = weightGradient ? module.output([v, h]) : undefined;
  const logits = module.scratch("values", 4 * Math.min(m, chunk) * v);
  const [ph, pw, pt] = [module.pointer(hidden), module.pointer(headWeight), module.pointer(targets)];
  const [pd, ps, po] = [module.pointer(dlogp), module.pointer(logSumExp), module.pointer(dhidden)];
  for (let from = 0; from < m; from += chunk) {
    const rows = Math.min(chunk, m - from);
    const states = ph + 4 * from * h;
    gemm(module, view(states, rows, h, false), view(pw, h, v, true, half), logits, [rows, v, h]);
    const args = [logits, pt + 4 * from, pd + 4 * from, ps + 4 * from, logits, rows, v, float(1)];
    module.run("pickLogProbGrad", args, Math.ceil(rows / blocking.rowSpan));
    gemm(module, view(logits, rows, v, false), view(pw, v, h, false, half), po + 4 * from * h, [rows, h, v]);
    if (dweight)
      gemm(
        module,
        view(logits, v, rows, true),
        view(states, rows, h, false),
        module.pointer(dweight),
        [v, h, rows],
        {
          accumulate: from > 0,
        },
      );
  }
  return dweight ? [dhidden, dweight] : [dhidden];
}

/** Matrix products, linear layers and the head. */
export const linearAlgebra: Implementations = {
  FdivMatMul: (module, { a, b }, { transposeA, transposeB }) =>
    matMul(module, a!, b!, transposeA, transposeB),
  FdivLinear: linear as Implementations[string],
  FdivLinearNoBias: linear as Implementations[string],
  FdivSelectedLogProbs: selectedLogProbs as Implementations[string],
  FdivSelectedLogProbsGrad: selectedLogProbsGrad as Implementations[string],
};
