import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { hasFastKernel, withGenericKernels } from "./kernel.ts";
import { startBackend } from "./node/backend.ts";
import { startWasm } from "./node/wasm-threads.ts";
import { pairwiseDistance, pairwiseDistanceKernel } from "./pairwise-distance.ts";
import { random } from "./random.ts";
import { sinkhornGradKernel, sinkhornImplicitKernel } from "./sinkhorn-gradient.ts";
import { type SinkhornAttributes, sinkhornKernel } from "./sinkhorn-kernel.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const draw = random("transport");
const uniform = (...shape: number[]) => tf.tensor(draw.uniform(tf.util.sizeFromShape(shape)), shape);
const normal = (...shape: number[]) => tf.tensor(draw.normal(tf.util.sizeFromShape(shape)), shape);

const plain: SinkhornAttributes = {
  lambda: 0.1,
  iterations: 20,
  tolerance: 0,
  checkEvery: 10,
  rowDamping: 1,
  columnDamping: 1,
  relaxation: 1,
  keepHistory: true,
};

/** Problems with some points that have no mass, one problem with a forbidden pair. */
function problems(batch: number, n: number, m: number, scale = 1) {
  const masses = (size: number) => {
    const x = tf.add(uniform(batch, size), 0.1);
    const keeps = tf.tensor(
      Float32Array.from({ length: batch * size }, (_, i) => (size > 2 && i % 5 === 3 ? 0 : 1)),
      [batch, size],
    );
    const kept = tf.mul(x, keeps);
    return tf.div(kept, tf.sum(kept, 1, true));
  };
  return {
    cost: tf.mul(uniform(batch, n, m), scale),
    a: masses(n),
    b: masses(m),
    fStart: tf.zeros([batch, n]),
    gStart: tf.zeros([batch, m]),
  };
}

const settings: [string, Partial<SinkhornAttributes>][] = [
  ["the paper's iterations", {}],
  ["a small λ, which no kernel of exponentials holds", { lambda: 0.002 }],
  ["a tiny λ", { lambda: 0.0003, iterations: 7 }],
  ["over-relaxation", { lambda: 0.02, relaxation: 1.4 }],
  ["over-relaxation at a small λ", { lambda: 0.004, relaxation: 1.4 }],
  ["relaxed marginals", { lambda: 0.05, rowDamping: 0.8, columnDamping: 0.9 }],
  ["a tolerance", { lambda: 0.2, iterations: 200, tolerance: 1e-4, checkEvery: 3 }],
  ["a λ whose scalings leave float32's reach on the way", { lambda: 0.02 }],
  ["one iteration", { iterations: 1 }],
];
const sizes: [number, number, number][] = [
  [3, 8, 12],
  [2, 7, 5],
  [1, 1, 1],
  [2, 33, 2],
];

const nothing = (x: tf.Tensor): tf.Tensor => tf.where(tf.isFinite(x), x, tf.fill(x.shape, -1e3));

const hasTensorflow = await startBackend({ backend: "tensorflow" }).then(
  () => true,
  () => false,
);
const backends: ["wasm" | "tensorflow", number][] = [
  ["wasm", 1],
  ["wasm", 2],
  // Where `fdiv-native install` has run.
  ...(hasTensorflow ? [["tensorflow", 2] satisfies ["tensorflow", number]] : []),
];

describe.each(backends)("fast transport kernels on %s with %d threads", (backend, threads) => {
  beforeAll(async () => {
    if (backend === "wasm") await startWasm({ threads });
    else await startBackend({ backend });
    expect(hasFastKernel("FdivSinkhorn", backend)).toBe(true);
  });

  it.each(settings)("do what their twins do: %s", (_, changed) => {
    const attributes = { ...plain, ...changed };
    // What single precision leaves of exp((f + g − C)/λ), and of products of several such.
    const absolute = 1e-6 / attributes.lambda;
    for (const [batch, n, m] of sizes) {
      const inputs = problems(batch, n, m);
      const fast = sinkhornKernel(inputs, attributes);
      const twin = withGenericKernels(() => sinkhornKernel(inputs, attributes));
      const steps = Array.from(fast[2]!.dataSync());
      expect(steps).toEqual(Array.from(twin[2]!.dataSync()));
      if (attributes.tolerance > 0 && n > 2) expect(Math.max(...steps)).toBeLessThan(200);
      for (const which of [0, 1, 3, 4, 5, 6])
        assertAllClose(nothing(fast[which]!), nothing(twin[which]!), { absolute, relative: 1e-4 });
      for (const which of [7, 8]) {
        const first = (x: tf.Tensor) => nothing(tf.slice(x, [0, 0, 0], [-1, Math.min(...steps), -1]));
        assertAllClose(first(fast[which]!), first(twin[which]!), { absolute, relative: 1e-4 });
      }
      const [df, dg] = [normal(batch, n), normal(batch, m)];
      const [, , at, , , , , fHistory, gHistory] = twin;
      const given = { ...inputs, fHistory: fHistory!, gHistory: gHistory!, steps: at!, df, dg };
      const backward = sinkhornGradKernel(given, attributes);
      const expected = withGenericKernels(() => sinkhornGradKernel(given, attributes));
      const scale = Math.max(1, ...expected.map((x) => tf.max(tf.abs(x)).dataSync()[0]!));
      expected.forEach((tensor, i) => {
        assertAllClose(backward[i]!, tensor, { absolute: 3 * absolute * scale, relative: 1e-3 });
      });
    }
  });

  it("start where they are told", () => {
    for (const [batch, n, m] of sizes) {
      const inputs = { ...problems(batch, n, m), fStart: normal(batch, n), gStart: normal(batch, m) };
      for (const changed of [{}, { relaxation: 1.2 }, { tolerance: 1e-3, checkEvery: 2, iterations: 60 }]) {
        const attributes = { ...plain, ...changed };
        const fast = sinkhornKernel(inputs, attributes);
        const twin = withGenericKernels(() => sinkhornKernel(inputs, attributes));
        expect(Array.from(fast[2]!.dataSync())).toEqual(Array.from(twin[2]!.dataSync()));
        for (const which of [0, 1, 3, 4, 5, 6])
          assertAllClose(nothing(fast[which]!), nothing(twin[which]!), { absolute: 1e-5, relative: 1e-4 });
      }
    }
  });

  it("solve the adjoint system", () => {
    for (const [batch, n, m] of sizes) {
      const inputs = problems(batch, n, m);
      const [, , , plan, rows, columns] = sinkhornKernel(inputs, { ...plain, iterations: 50 });
      for (const [centred, factor] of [
        [true, 1],
        [false, 1.3],
      ] as const) {
        // In the range of a singular system, as the adjoint's right-hand side always is.
        const [x, y] = [normal(batch, n), normal(batch, m)];
        const [r, c] = [tf.mul(rows!, factor), tf.mul(columns!, factor)];
        const apply = (u: tf.Tensor, v: tf.Tensor) => [
          tf.add(tf.mul(r, u), tf.sum(tf.mul(plan!, tf.expandDims(v, 1)), 2)),
          tf.add(tf.mul(c, v), tf.sum(tf.mul(plan!, tf.expandDims(u, 2)), 1)),
        ];
        const [df, dg] = apply(x, y) as [tf.Tensor, tf.Tensor];
        const system = { plan: plan!, rows: r, columns: c, df, dg };
        const attributes = { iterations: 200, tolerance: 1e-7, centred };
        const solve = () => sinkhornImplicitKernel(system, attributes);
        for (const solution of [solve(), withGenericKernels(solve)]) {
          const [f, g] = apply(solution[0]!, solution[1]!);
          assertAllClose(f!, df, { absolute: 2e-5 });
          assertAllClose(g!, dg, { absolute: 2e-5 });
        }
      }
    }
  });

  it.each([
    [1, 32, 32, 3000],
    [2, 5, 3, 7],
    [3, 17, 18, 1030],
    [1, 1, 1, 1],
  ])("take distances of %d × [%d, %d] rows of %d", (batch, n, m, size) => {
    const [x, y] = [normal(batch, n, size), normal(batch, m, size)];
    const upstream = normal(batch, n, m);
    for (const squared of [false, true]) {
      const both = tf.grads((u, v) => pairwiseDistance(u!, v!, { squared }));
      const run = () => [pairwiseDistance(x, y, { squared }), ...both([x, y], upstream)];
      const fast = run();
      withGenericKernels(run).forEach((tensor, i) => {
        assertAllClose(fast[i]!, tensor, { absolute: 2e-4, relative: 1e-4 });
      });
    }
  });

  it("give the same bits as alone", () => {
    const inputs = problems(4, 9, 6);
    const all = sinkhornKernel(inputs, { ...plain, lambda: 0.01 });
    const second = Object.fromEntries(
      Object.entries(inputs).map(([name, x]) => [
        name,
        tf.slice(x, [1, ...x.shape.slice(1).map(() => 0)], [1, ...x.shape.slice(1)]),
      ]),
    ) as typeof inputs;
    const alone = sinkhornKernel(second, { ...plain, lambda: 0.01 });
    expect(Array.from(alone[3]!.dataSync())).toEqual(Array.from(all[3]!.dataSync().slice(54, 108)));
  });
});

it("agrees with differences on the generic kernels", async () => {
  await tf.setBackend("cpu");
  const x = tf.tensor3d([1, 2, -1, 0.5, 0, 3], [1, 2, 3]);
  const y = tf.tensor3d([0, 2.5, 1, 4, 1, -2, 0.3, 0.1, 0.2], [1, 3, 3]);
  for (const squared of [false, true])
    gradientCheck((u, v) => pairwiseDistance(u!, v!, { squared }), [x, y], { step: 1e-2, absolute: 5e-3 });
  const zero = tf.grad((u: tf.Tensor) => pairwiseDistance(u, tf.zeros([1, 1, 2])))(tf.zeros([1, 1, 2]));
  expect(Array.from(zero.dataSync())).toEqual([0, 0]);
});

it("leaves nothing behind and takes what is empty", async () => {
  await onEachBackend(["cpu", "wasm"], async () => {
    const inputs = problems(2, 4, 3);
    await assertNoLeak(() => tf.dispose(sinkhornKernel(inputs, { ...plain, tolerance: 1e-3 })));
    expect(pairwiseDistance(tf.zeros([1, 2, 0]), tf.zeros([1, 3, 0])).shape).toEqual([1, 2, 3]);
    expect(
      pairwiseDistanceKernel({ x: tf.zeros([1, 0, 2]), y: tf.zeros([1, 3, 2]) }, { squared: true })[0]!.shape,
    ).toEqual([1, 0, 3]);
    expect(() => pairwiseDistance(tf.zeros([1, 2, 3]), tf.zeros([1, 2, 4]))).toThrow(/pairwiseDistance: y/);
  });
});
