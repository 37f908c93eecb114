import type * as tf from "@tensorflow/tfjs-core";
import { type DecoderAttributes, decoderWidth } from "../decoder-step.ts";
import { isHalfWeight, weightShape } from "../half-weights.ts";
import {
  type GemmOptions,
  gemm,
  type MatrixView,
  packPanels,
  panelColumns,
  panelView,
  view,
} from "./gemm.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { activationNumber } from "./linear-algebra.ts";
import { float, type KernelModule } from "./module.ts";

type Inputs = Record<string, tf.TensorInfo>;

const isPacked = ({ shape }: tf.TensorInfo): boolean => shape.length === 3;

/** Where a step keeps what it makes: one area, cut up. */
function areas(module: KernelModule, sizes: readonly number[]): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let at = module.scratch("decoder", 4 * total);
  return sizes.map((size) => {
    const here = at;
    at += 4 * size;
    return here;
  });
}

/** One token a row through a decoder: the kernels one after the other on memory of their own, with no tensor in between. */
function step(module: KernelModule, inputs: Inputs, attributes: DecoderAttributes): tf.TensorInfo {
  const { layers, heads, kvHeads, epsilon, activation, transposeWeight, scales, windows } = attributes;
  const at = (name: string): number => (inputs[name] ? module.pointer(inputs[name]) : 0);
  const rows = inputs.ids!.shape[0]!;
  const hidden = inputs["norm.weight"]!.shape[0]!;
  const [, slots, kvWidth] = inputs["0.keys"]!.shape as [number, number, number];
  const width = (kvWidth / kvHeads) * heads;
  const half = inputs.cos?.shape[1] ?? 0;
  const outputsOf = (name: string) => weightShape(inputs[`${name}.weight`]!)[transposeWeight ? 0 : 1]!;
  const wide = decoderWidth(inputs, transposeWeight);
  const logits = module.output([
    rows,
    weightShape(inputs[isPacked(inputs.head!) ? "embedding" : "head"]!)[0]!,
  ]);
  const [x, y, q, k, v, seen, inner, gate, ignored] = areas(
    module,
    [hidden, hidden, width, kvWidth, kvWidth, width, wide, wide, Math.max(2, heads)].map(
      (size) => rows * size,
    ),
  ) as [number, number, number, number, number, number, number, number, number];
  const rowTasks = Math.ceil(rows / blocking.rowSpan);

  /** to [rows, outputs] (+)= f(from · columns [first, first + outputs) of a module + bias) */
  const project = (
    name: string,
    from: number,
    to: number,
    [inside, outputs]: [number, number],
    options: GemmOptions = {},
    first = 0,
  ) => {
    const weight = inputs[`${name}.weight`]!;
    const isHalf = isHalfWeight(weight);
    const bias = at(`${name}.bias`);
    const shifted = { ...options, ...(bias && { bias: bias + 4 * first }) };
    if (isPacked(weight)) {
      const right = panelView(at(`${name}.weight`) + 4 * first * inside);
      return gemm(module, view(from, rows, inside, false), right, to, [rows, outputs, inside], shifted);
    }
    const start = at(`${name}.weight`) + (isHalf ? 2 : 4) * first * (transposeWeight ? inside : 1);
    const right: MatrixView = transposeWeight
      ? view(start, inside, outputs, true, isHalf)
      : { ...view(start, inside, outputsOf(name), false, isHalf) };
    gemm(module, view(from, rows, inside, false), right, to, [rows, outputs, inside], shifted);
  };
  const normed = (name: string, from: number, to: number) => {
    const weight = at(`${name}.weight`);
    const bias = at(`${name}.bias`);
    const ends = [rows, hidden, float(epsilon)];
    if (bias)
      module.run("layerNorm", [from, weight, bias, to, ignored, ignored + 4 * rows, ...ends], rowTasks);
    else module.run("rmsNorm", [from, weight, to, ignored, ...ends], rowTasks);
  };
  const turn = (where: number, count: number) => {
    if (half === 0) return;
    const tables = [at("cos"), at("sin"), at("positions")];
    module.run("rotary", [where, ...tables, where, rows, count, kvWidth / kvHeads, half, 0, 0], rowTasks);
  };
  const look = (name: string, ids: string, to: number) => {
    const isHalf = isHalfWeight(inputs[name]!);
    const words = isHalf ? hidden / 2 : hidden;
    const raw = isHalf ? inner : to;
    module.run("gather", [at(name), at(ids), raw, rows, words], rowTasks);
    if (isHalf) module.run("widen", [raw, to, rows * hidden], Math.ceil((rows * hidden) / blocking.span));
  };

  look("embedding", "ids", x);
  if (inputs.positionEmbedding) {
    look("positionEmbedding", "positions", y);
    module.run("add", [y, x, rows * hidden], Math.ceil((rows * hidden) / blocking.span));
  }
  const scratchBytes = 8 * (slots + 8);
  for (let i = 0; i < layers; i++) {
    normed(`${i}.attentionNorm`, x, y);
    if (inputs[`${i}.projection1.weight`]) {
      project(`${i}.projection0`, y, q, [hidden, width]);
      project(`${i}.projection1`, y, k, [hidden, kvWidth]);
      project(`${i}.projection2`, y, v, [hidden, kvWidth]);
    } else {
      project(`${i}.projection0`, y, q, [hidden, width]);
      project(`${i}.projection0`, y, k, [hidden, kvWidth], {}, width);
      project(`${i}.projection0`, y, v, [hidden, kvWidth], {}, width + kvWidth);
    }
    turn(q, heads);
    turn(k, kvHeads);
    const [keys, values] = [at(`${i}.keys`), at(`${i}.values`)];
    module.run("cacheWrite", [keys, k, at("layout"), rows, slots, 1, kvWidth], rows);
    module.run("cacheWrite", [values, v, at("layout"), rows, slots, 1, kvWidth], rows);
    const scratch = module.scratch("worker", scratchBytes * module.threads);
    const shape = [rows, 1, slots, heads, kvHeads, kvWidth / kvHeads, float(scales[i]!)];
    const pointers = [q, keys, values, at("layout"), seen, ignored];
    module.run(
      "attention",
      [...pointers, ...shape, scratch, scratchBytes, 0, 0, 0, 0, windows[i]!, 0, 0],
      rows * kvHeads,
    );
    project(`${i}.output`, seen, x, [width, hidden], { accumulate: true });
    normed(`${i}.feedForwardNorm`, x, y);
    if (inputs[`${i}.gate.weight`]) {
      project(`${i}.gate`, y, gate, [hidden, wide]);
      project(`${i}.up`, y, inner, [hidden, wide]);
      module.run("swiglu", [gate, inner, inner, rows * wide], Math.ceil((rows * wide) / blocking.span));
    } else project(`${i}.up`, y, inner, [hidden, wide], { activation: activationNumber[activation] });
    project(`${i}.down`, inner, x, [wide, hidden], { accumulate: true });
  }
  normed("norm", x, y);
  const head = inputs.head!;
  const vocabulary = logits.shape[1]!;
  gemm(
    module,
    view(y, rows, hidden, false),
    isPacked(head) ? panelView(at("head")) : view(at("head"), hidden, vocabulary, true, isHalfWeight(head)),
    module.pointer(logits),
    [rows, vocabulary, hidden],
  );
  return logits;
}

/** A weight in the panels that a product reads. */
function panels(module: KernelModule, weight: tf.TensorInfo, transposed: boolean): tf.TensorInfo {
  const [rows, columns] = weight.shape as [number, number];
  const [inputs, outputs] = transposed ? [columns, rows] : [rows, columns];
  const out = module.output([Math.ceil(outputs / panelColumns), inputs, panelColumns]);
  const right = view(module.pointer(weight), inputs, outputs, transposed);
  packPanels(module, right, inputs, module.pointer(out), outputs);
  return out;
}

export const decoderKernels: Implementations = {
  FdivDecoderStep: step,
  FdivPanels: (module, { weight }, { transposed }) => panels(module, weight!, transposed),
};

/** Whether the module can do a step: heads of whole vectors, and of gated units the one that it has. */
export const decoderFits = (inputs: Inputs, { kvHeads, activation, layers }: DecoderAttributes): boolean => {
  const gated = inputs["0.gate.weight"] !== undefined;
  return (
    layers > 0 &&
    inputs.ids!.shape[0]! > 0 &&
    (inputs["0.keys"]!.shape[2]! / kvHeads) % 4 === 0 &&
    (!gated || activation === "silu")
  );
};
