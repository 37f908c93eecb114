import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { adamW } from "./adamw.ts";
import { assertAllClose, assertNoLeak, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const variable = (values: number[], shape = [values.length]) =>
  tf.tidy(() => tf.variable(tf.tensor(values, shape)));
const of = (entries: Record<string, number[]>) =>
  new Map(Object.entries(entries).map(([name, values]) => [name, tf.tensor1d(values)]));

/** Algorithm 2 of the paper, in double precision, with a constant rate. */
function oracle(start: number, gradients: number[], rate: number, decay: number): number {
  let [p, m, v] = [start, 0, 0];
  gradients.forEach((g, i) => {
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const deviation = Math.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8;
    p = p * (1 - rate * decay) - (rate * m) / (1 - 0.9 ** (i + 1)) / deviation;
  });
  return p;
}

it("takes the first step by hand: 1·(1 − .1·.01) − .1·sign(gradient)", () =>
  onEachBackend(backends, () => {
    const w = variable([1, 1, 1]);
    const optimizer = adamW({ learningRate: 0.1, weightDecay: 0.01, decays: () => true });
    optimizer.step(new Map([["w", w]]), of({ w: [0.5, -30, 0] }));
    assertAllClose(w, [0.899, 1.099, 0.999], { absolute: 1e-6, relative: 0 });
    tf.dispose(w);
    optimizer.dispose();
  }));

it("follows the paper's algorithm over many steps", () =>
  onEachBackend(backends, () => {
    const gradients = Array.from({ length: 25 }, (_, i) => Math.sin(3 * i) * 10 ** (i % 3));
    const w = variable([2]);
    const optimizer = adamW({ learningRate: 0.05, weightDecay: 0.1, decays: () => true });
    for (const g of gradients) optimizer.step(new Map([["w", w]]), of({ w: [g] }));
    assertAllClose(w, [oracle(2, gradients, 0.05, 0.1)], { absolute: 2e-6, relative: 0 });
    expect(optimizer.iterations).toBe(25);
    optimizer.dispose();
  }));

it("decays matrices and neither biases nor norm weights, unless told", async () => {
  await tf.setBackend("cpu");
  const parameters = new Map([
    ["weight", variable([1, 1], [1, 2])],
    ["bias", variable([1, 1])],
  ]);
  const zeros = new Map([...parameters].map(([name, tensor]) => [name, tf.zeros(tensor.shape)]));
  adamW({ learningRate: 0.1, weightDecay: 1 }).step(parameters, zeros);
  assertAllClose(parameters.get("weight")!, [0.9, 0.9]);
  assertAllClose(parameters.get("bias")!, [1, 1]);
  adamW({ learningRate: 0.1, weightDecay: 1, decays: (name) => name === "bias" }).step(parameters, zeros);
  assertAllClose(parameters.get("weight")!, [0.9, 0.9]);
  assertAllClose(parameters.get("bias")!, [0.9, 0.9]);
});

it("scales the gradients and takes the step's own rate", async () => {
  await tf.setBackend("cpu");
  const [a, b] = [variable([1]), variable([1])];
  const [first, second] = [adamW({ learningRate: 9 }), adamW({ learningRate: 0.01 })];
  for (const g of [4, -2]) {
    first.step(new Map([["w", a]]), of({ w: [g] }), { learningRate: 0.01, gradientScale: 0.25 });
    second.step(new Map([["w", b]]), of({ w: [g / 4] }));
  }
  assertAllClose(a, b, { absolute: 0, relative: 0 });
});

it("resumes bit for bit from its state", () =>
  onEachBackend(backends, () => {
    const run = (optimizer: ReturnType<typeof adamW>, w: tf.Variable, from: number, to: number) => {
      for (let i = from; i < to; i++) optimizer.step(new Map([["w", w]]), of({ w: [Math.sin(i), 0.3 * i] }));
    };
    const [whole, w] = [adamW(), variable([1, -1])];
    run(whole, w, 0, 10);
    const [start, resumed, u] = [adamW(), adamW(), variable([1, -1])];
    run(start, u, 0, 4);
    const state = start.state();
    expect([...state.tensors.keys()]).toEqual(["m.w", "v.w"]);
    resumed.load(state);
    start.dispose();
    run(resumed, u, 4, 10);
    expect(resumed.iterations).toBe(10);
    assertAllClose(u, w, { absolute: 0, relative: 0 });
  }));

it("changes in place what a gradient was given for, keeps extremes finite, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const [w, idle, none] = [variable([1, 1, 1, 1]), variable([5]), variable([])];
    const parameters = new Map(Object.entries({ w, idle, none }));
    const optimizer = adamW();
    const gradients = of({ w: [1e4, -1e4, 1e-30, 100], none: [] });
    await assertNoLeak(() => optimizer.step(parameters, gradients));
    expect(Array.from(w.dataSync()).every(Number.isFinite)).toBe(true);
    assertAllClose(idle, [5]);
    await assertNoLeak(() => {
      const fresh = adamW();
      fresh.load(optimizer.state());
      fresh.dispose();
    });
  }));

it("skips the step that clipping stopped and refuses factors that are not finite", async () => {
  await tf.setBackend("cpu");
  const parameters = new Map([["w", variable([1, 2])]]);
  const optimizer = adamW({ weightDecay: 1, decays: () => true });
  optimizer.step(parameters, of({ w: [Number.NaN, 1] }), { gradientScale: 0 });
  assertAllClose(parameters.get("w")!, [1, 2], { absolute: 0, relative: 0 });
  expect(optimizer.iterations).toBe(0);
  const step = (options: object) => () => optimizer.step(parameters, of({ w: [1, 1] }), options);
  expect(step({ gradientScale: Number.NaN })).toThrow(/gradientScale NaN must be finite/);
  expect(step({ learningRate: Number.POSITIVE_INFINITY })).toThrow(/learningRate Infinity/);
});

it("names what does not fit", () => {
  const optimizer = adamW();
  const parameters = new Map([["w", variable([1, 2])]]);
  expect(() => optimizer.step(parameters, of({ u: [1] }))).toThrow(/adamW: there is a gradient for u/);
  expect(() => optimizer.step(parameters, of({ w: [1] }))).toThrow(/the gradient of w has shape \[1\]/);
  expect(() => optimizer.load({ tensors: of({ w: [1] }), iteration: 1 })).toThrow(/w is no moment/);
  optimizer.load({ tensors: of({ "m.w": [1], "v.w": [1] }), iteration: 3 });
  expect(() => optimizer.step(parameters, of({ w: [1, 2] }))).toThrow(/adamW: m.w has shape \[1\]/);
});
