import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { conv2d, groupNorm, random, upsample2x, valueAndGradients, withGenericKernels } from "./index.ts";
import { startBackend } from "./node/index.ts";
import { assertAllClose, gradientCheck } from "./testing/index.ts";

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
});
afterAll(() => tf.setBackend("cpu"));

const draw = (label: string, shape: number[]) =>
  tf.tensor(random(label).normal(tf.util.sizeFromShape(shape)), shape);

type Parameters = Record<string, number[]>;

/** f's value under uneven upstream weights, and its gradients, on a backend. */
async function onBackend(
  backend: string,
  shapes: Parameters,
  f: (p: Record<string, tf.Tensor>) => tf.Tensor,
) {
  await tf.setBackend(backend);
  const parameters = new Map(
    Object.entries(shapes).map(([name, shape]) => [name, tf.variable(draw(name, shape))]),
  );
  let y: Float32Array | undefined;
  const { gradients } = valueAndGradients(() => {
    const out = f(Object.fromEntries(parameters));
    y = Float32Array.from(out.dataSync());
    return tf.sum(tf.mul(out, draw("upstream", out.shape))) as tf.Scalar;
  }, parameters);
  const found = new Map([...gradients].map(([name, g]) => [name, Array.from(g.dataSync())]));
  tf.dispose([...gradients.values(), ...parameters.values()]);
  return { y: Array.from(y!), gradients: found };
}

async function sameOnBoth(shapes: Parameters, f: (p: Record<string, tf.Tensor>) => tf.Tensor) {
  const exact = await onBackend("cpu", shapes, f);
  const found = await onBackend("wasm", shapes, f);
  assertAllClose(found.y, exact.y, { absolute: 2e-4 });
  expect([...found.gradients.keys()]).toEqual(Object.keys(shapes));
  for (const [name, gradient] of exact.gradients)
    assertAllClose(found.gradients.get(name)!, gradient, { absolute: 5e-4, relative: 5e-4 });
}

describe("conv2d on wasm is that of the cpu backend, with all gradients", () => {
  it.each([
    [3, 1, 1, 8, 7],
    [3, 2, 1, 8, 8],
    [3, 2, [0, 1, 0, 1], 8, 6],
    [1, 1, 0, 5, 5],
    [1, 2, 0, 6, 5],
    [4, 2, 1, 8, 8],
    [5, 1, 2, 6, 9],
    [3, 1, [2, 0, 1, 3], 6, 6],
    [2, 1, 2, 4, 4],
  ] as const)("%s×, stride %s, padding %s on %s × %s", async (kernel, stride, padding, height, width) => {
    for (const channels of [3, 20])
      await sameOnBoth(
        { x: [2, height, width, channels], weight: [5, channels, kernel, kernel], bias: [5] },
        ({ x, weight, bias }) => conv2d(x!, weight!, { bias: bias!, stride, padding: padding as 0 }),
      );
  });
  it("its fast kernels are its twins", async () => {
    await tf.setBackend("wasm");
    const call = () =>
      conv2d(draw("x", [2, 6, 5, 17]), draw("w", [4, 17, 3, 3]), { stride: 2, padding: [1, 0, 2, 1] });
    assertAllClose(call(), withGenericKernels(call), { absolute: 1e-4 });
  });
  it("sees filters that an optimiser changes in place", async () => {
    await tf.setBackend("wasm");
    const weight = tf.variable(tf.ones([1, 1, 3, 3]));
    const x = tf.ones([1, 3, 3, 1]);
    const before = conv2d(x, weight).dataSync()[0];
    const { adamW } = await import("./index.ts");
    adamW({ learningRate: 1 }).step(new Map([["w", weight]]), new Map([["w", tf.ones([1, 1, 3, 3])]]));
    expect(before).toBe(9);
    expect(conv2d(x, weight).dataSync()[0]).toBeCloseTo(0, 3);
  });
  it("refuses what does not fit", () => {
    expect(() => conv2d(tf.zeros([1, 4, 4, 2]), tf.zeros([3, 4, 3, 3]))).toThrow(/which has 2 channels/);
    expect(() => conv2d(tf.zeros([1, 2, 2, 1]), tf.zeros([1, 1, 3, 3]))).toThrow(/smaller than the filters/);
    expect(() => conv2d(tf.zeros([1, 4, 4, 1]), tf.zeros([1, 1, 3, 3]), { stride: 0 })).toThrow(/stride 0/);
  });
});

it.each(["same", "valid", 1] as const)("tf.conv2d trains on wasm too, padding %s", async (pad) => {
  for (const stride of [1, 2])
    await sameOnBoth({ x: [2, 7, 6, 3], filter: [3, 3, 3, 4] }, ({ x, filter }) =>
      tf.conv2d(
        x as tf.Tensor4D,
        filter as tf.Tensor4D,
        stride,
        pad,
        "NHWC",
        1,
        pad === 1 ? "floor" : undefined,
      ),
    );
});

describe("groupNorm", () => {
  it("is the formula, and wasm's is the cpu's, with all gradients", async () => {
    const shapes = { x: [2, 3, 4, 12], weight: [12], bias: [12] };
    const f = ({ x, weight, bias }: Record<string, tf.Tensor>) =>
      groupNorm(x!, weight!, bias!, { groups: 4, epsilon: 0.1 });
    await sameOnBoth(shapes, f);
    await tf.setBackend("cpu");
    const x = draw("x", shapes.x).dataSync();
    const [w, b] = [draw("weight", [12]).dataSync(), draw("bias", [12]).dataSync()];
    const group = [];
    for (let p = 0; p < 12; p++) for (let c = 3; c < 6; c++) group.push(x[144 + 12 * p + c]!);
    const mean = group.reduce((s, v) => s + v, 0) / 36;
    const variance = group.reduce((s, v) => s + (v - mean) ** 2, 0) / 36;
    const y = f({
      x: draw("x", shapes.x),
      weight: draw("weight", [12]),
      bias: draw("bias", [12]),
    }).dataSync();
    expect(y[144 + 24 + 4]).toBeCloseTo(
      ((x[144 + 24 + 4]! - mean) / Math.sqrt(variance + 0.1)) * w[4]! + b[4]!,
      4,
    );
  });
  it.each([[[4]], [[2, 4]]])("its gradients are those of differences, weights %j", async (shape) => {
    await tf.setBackend("wasm");
    for (const activation of ["none", "silu"] as const)
      gradientCheck(
        (x, weight, bias) => groupNorm(x!, weight!, bias!, { groups: 2, activation }),
        [draw("a", [2, 3, 4]), draw("b", shape), draw("c", shape)],
        { absolute: 5e-3, relative: 2e-2 },
      );
  });
  it("with numbers of each example's own is a norm that is scaled and shifted, then activated", async () => {
    const shapes = { x: [3, 5, 2, 8], weight: [8], bias: [8], scale: [3, 8], shift: [3, 8] };
    const spread = (values: tf.Tensor) => tf.reshape(values, [3, 1, 1, 8]);
    const apart = await onBackend("cpu", shapes, ({ x, weight, bias, scale, shift }) => {
      const normal = groupNorm(x!, weight!, bias!, { groups: 2 });
      const told = tf.add(tf.mul(normal, tf.add(1, spread(scale!))), spread(shift!));
      return tf.mul(told, tf.sigmoid(told));
    });
    for (const backend of ["cpu", "wasm"]) {
      const once = await onBackend(backend, shapes, ({ x, weight, bias, scale, shift }) => {
        const factor = tf.add(1, scale!);
        const own = [tf.mul(factor, weight!), tf.add(tf.mul(factor, bias!), shift!)] as const;
        return groupNorm(x!, own[0], own[1], { groups: 2, activation: "silu" });
      });
      assertAllClose(once.y, apart.y, { absolute: 1e-5 });
      for (const [name, gradient] of apart.gradients)
        assertAllClose(once.gradients.get(name)!, gradient, { absolute: 1e-4, relative: 1e-4 });
    }
  });
  it("refuses groups that do not divide", () => {
    expect(() => groupNorm(tf.zeros([1, 4]), tf.zeros([4]), tf.zeros([4]), { groups: 3 })).toThrow(
      /4 channels .* 3 groups/,
    );
    expect(() => groupNorm(tf.zeros([3, 4]), tf.zeros([2, 4]), tf.zeros([2, 4]), { groups: 2 })).toThrow(
      /weight has shape \[2, 4\], expected \[3, 4\]/,
    );
    expect(() => groupNorm(tf.zeros([3, 4]), tf.zeros([3, 4]), tf.zeros([4]), { groups: 2 })).toThrow(
      /bias has shape \[4\], expected \[3, 4\]/,
    );
  });
});

it("upsample2x repeats each pixel, and its gradient sums the four", async () => {
  await sameOnBoth({ x: [2, 3, 2, 3] }, ({ x }) => upsample2x(x!));
  const y = upsample2x(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]));
  expect(Array.from(y.dataSync())).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  const slope = tf.grad((x: tf.Tensor) => tf.sum(upsample2x(x)))(tf.ones([1, 2, 2, 1]));
  expect(Array.from(slope.dataSync())).toEqual([4, 4, 4, 4]);
});
