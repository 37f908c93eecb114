import { isHalfWeight, weightShape } from "../half-weights.ts";
import { type Implementations, sizeOf } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { activationNumber } from "./linear-algebra.ts";
import { float, type KernelModule } from "./module.ts";

const rowTasks = (rows: number): number => Math.ceil(rows / blocking.rowSpan);
const spans = (size: number): number => Math.ceil(size / blocking.span);

/** The sum over rows [N] of what a kernel left in parts [parts, N]. */
export function sumOfParts(module: KernelModule, partial: number, n: number) {
  const out = module.output([n]);
  module.run("sumParts", [partial, module.pointer(out), n], 1);
  return out;
}

/** Kernels over rows and elements. */
export const rowKernels: Implementations = {
  FdivRmsNorm(module, { x, weight }, { epsilon }) {
    const [m, n] = x!.shape as [number, number];
    const [y, inverse] = [module.output([m, n]), module.output([m])];
    const pointers = [x!, weight!, y, inverse].map(module.pointer);
    module.run("rmsNorm", [...pointers, m, n, float(epsilon)], rowTasks(m));
    return [y, inverse];
  },
  FdivRmsNormGrad(module, { dy, x, weight, inverseRms }) {
    const [m, n] = x!.shape as [number, number];
    const dx = module.output([m, n]);
    const partial = module.scratch("partial", 4 * blocking.parts * n);
    const pointers = [dy!, x!, weight!, inverseRms!, dx].map(module.pointer);
    module.run("rmsNormGrad", [...pointers, partial, m, n], blocking.parts);
    return [dx, sumOfParts(module, partial, n)];
  },
  FdivLayerNorm(module, { x, weight, bias }, { epsilon }) {
    const [m, n] = x!.shape as [number, number];
    const [y, mean, inverse] = [module.output([m, n]), module.output([m]), module.output([m])];
    const pointers = [x!, weight!, bias!, y, mean, inverse].map(module.pointer);
    module.run("layerNorm", [...pointers, m, n, float(epsilon)], rowTasks(m));
    return [y, mean, inverse];
  },
  FdivLayerNormGrad(module, { dy, x, weight, mean, inverseStd }) {
    const [m, n] = x!.shape as [number, number];
    const dx = module.output([m, n]);
    const bytes = 4 * blocking.parts * n;
    const partial = module.scratch("partial", 2 * bytes);
    const pointers = [dy!, x!, weight!, mean!, inverseStd!, dx].map(module.pointer);
    module.run("layerNormGrad", [...pointers, partial, partial + bytes, m, n], blocking.parts);
    return [dx, sumOfParts(module, partial, n), sumOfParts(module, partial + bytes, n)];
  },
  FdivSumRows(module, { x }) {
    const n = x!.shape.at(-1)!;
    const m = n === 0 ? 0 : sizeOf(x!) / n;
    const partial = module.scratch("partial", 4 * blocking.parts * n);
    module.run("sumRowsPart", [module.pointer(x!), partial, m, n], blocking.parts);
    return sumOfParts(module, partial, n);
  },
  FdivLogSoftmax(module, { x }) {
    const [m, n] = x!.shape as [number, number];
    const y = module.output([m, n]);
    module.run("logSoftmax", [module.pointer(x!), module.pointer(y), m, n], rowTasks(m));
    return y;
  },
  FdivLogSoftmaxGrad(module, { dy, y }) {
    const [m, n] = y!.shape as [number, number];
    const dx = module.output([m, n]);
    module.run("logSoftmaxGrad", [...[dy!, y!, dx].map(module.pointer), m, n], rowTasks(m));
    return dx;
  },
  FdivCrossEntropy(module, { logits, targets }) {
    const [m, n] = logits!.shape as [number, number];
    const [nll, logSumExp] = [module.output([m]), module.output([m])];
    const pointers = [logits!, targets!, nll, logSumExp].map(module.pointer);
    module.run("pickLogProb", [...pointers, m, n, float(-1)], rowTasks(m));
    return [nll, logSumExp];
  },
  FdivCrossEntropyGrad(module, { dnll, logits, targets, logSumExp }) {
    const [m, n] = logits!.shape as [number, number];
    const dlogits = module.output([m, n]);
    const pointers = [logits!, targets!, dnll!, logSumExp!, dlogits].map(module.pointer);
    module.run("pickLogProbGrad", [...pointers, m, n, float(-1)], rowTasks(m));
    return dlogits;
  },
  FdivRotary(module, { x, cos, sin, positions }, { heads, interleaved, inverse }) {
    const [b, t, width] = x!.shape as [number, number, number];
    const y = module.output([b, t, width]);
    const half = cos!.shape[1]!;
    const pointers = [x!, cos!, sin!, positions!, y].map(module.pointer);
    const flags = [interleaved ? 1 : 0, inverse ? 1 : 0];
    module.run("rotary", [...pointers, b * t, heads, width / heads, half, ...flags], rowTasks(b * t));
    return y;
  },
  FdivEmbedding(module, { table, ids }) {
    const half = isHalfWeight(table!);
    const [, n] = weightShape(table!) as [number, number];
    const m = sizeOf(ids!);
    const y = module.output([m, n]);
    const words = half ? n / 2 : n;
    const rows = half ? module.scratch("values", 4 * m * words) : module.pointer(y);
    module.run("gather", [module.pointer(table!), module.pointer(ids!), rows, m, words], rowTasks(m));
    if (half) module.run("widen", [rows, module.pointer(y), m * n], spans(m * n));
    return y;
  },
  FdivWiden(module, { x }) {
    const [rows, pairs] = x!.shape as [number, number];
    const y = module.output([rows, 2 * pairs]);
    module.run("widen", [module.pointer(x!), module.pointer(y), sizeOf(y)], spans(sizeOf(y)));
    return y;
  },
  FdivDrawTokens(module, { logits, uniforms }, { temperature }) {
    const [m, n] = logits!.shape as [number, number];
    const draws = module.output([m, 3]);
    const bytes = 8 * Math.ceil(n / blocking.drawBlock);
    // Doubles lie at multiples of eight.
    const sums = 8 * Math.ceil(module.scratch("worker", 8 + bytes * module.threads) / 8);
    const pointers = [logits!, uniforms!, draws].map(module.pointer);
    module.run("drawTokens", [...pointers, sums, bytes, m, n, float(temperature)], m);
    return draws;
  },
  FdivScatterAdd(module, { rows, ids }, { size }) {
    const [m, n] = rows!.shape as [number, number];
    const table = module.output([size, n]);
    const pointers = [rows!, ids!, table].map(module.pointer);
    module.run("scatterAdd", [...pointers, m, n, size], Math.ceil(n / blocking.scatterSpan));
    return table;
  },
  FdivCacheWrite(module, { cache, rows, layout }) {
    const [b, s, w] = cache!.shape as [number, number, number];
    const t = rows!.shape[1]!;
    module.run("cacheWrite", [...[cache!, rows!, layout!].map(module.pointer), b, s, t, w], b);
    return [];
  },
  FdivActivation(module, { x }, { activation }) {
    const y = module.output([...x!.shape]);
    const kind = activationNumber[activation as keyof typeof activationNumber];
    module.run("activation", [...[x!, y].map(module.pointer), sizeOf(x!), kind], spans(sizeOf(x!)));
    return y;
  },
  FdivActivationGrad(module, { dy, x }, { activation }) {
    const dx = module.output([...x!.shape]);
    const kind = activationNumber[activation as keyof typeof activationNumber];
    module.run("activationGrad", [...[dy!, x!, dx].map(module.pointer), sizeOf(x!), kind], spans(sizeOf(x!)));
    return dx;
  },
  FdivSwiglu(module, { gate, up }) {
    const y = module.output([...gate!.shape]);
    module.run("swiglu", [...[gate!, up!, y].map(module.pointer), sizeOf(y)], spans(sizeOf(y)));
    return y;
  },
  FdivSwigluGrad(module, { dy, gate, up }) {
    const [dgate, dup] = [module.output([...gate!.shape]), module.output([...up!.shape])];
    const size = sizeOf(gate!);
    module.run("swigluGrad", [...[dy!, gate!, up!, dgate, dup].map(module.pointer), size], spans(size));
    return [dgate, dup];
  },
  FdivSquaredNorm(module, { x }) {
    const size = sizeOf(x!);
    const count = spans(size);
    const partial = module.scratch("partial", 8 * Math.max(1, count));
    // Doubles lie at multiples of eight.
    const aligned = 8 * Math.ceil(partial / 8);
    module.run("squares", [module.pointer(x!), aligned, size], count);
    let sum = 0;
    for (const square of module.float64(aligned, count)) sum += square;
    return module.scalar(sum);
  },
  FdivAdamW(module, { parameter, gradient, m, v }, attributes) {
    const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2, gradientScale } =
      attributes;
    const size = sizeOf(parameter!);
    const floats = [
      learningRate / correction1,
      beta1,
      beta2,
      epsilon,
      1 - learningRate * weightDecay,
      1 / Math.sqrt(correction2),
      gradientScale,
    ].map(float);
    module.run(
      "adamW",
      [...[parameter!, gradient!, m!, v!].map(module.pointer), size, ...floats],
      spans(size),
    );
    return [];
  },
};
