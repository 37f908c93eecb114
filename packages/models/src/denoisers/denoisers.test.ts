import "@tensorflow/tfjs";
import { adamW, random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createMlpDenoiser,
  createUnetDenoiser,
  type DenoiserModel,
  discriminatorHeads,
  unet2dConfig,
} from "../index.ts";

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
});
afterAll(() => tf.setBackend("cpu"));

const draw = (label: string, shape: number[]) =>
  tf.tensor(random(label).normal(tf.util.sizeFromShape(shape)), shape);
const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;

/** Steps of plain denoising at σ = ½ on fixed data; the mean loss before and after. */
function train(model: DenoiserModel, clean: tf.Tensor, steps: number, labels?: tf.Tensor): [number, number] {
  const optimizer = adamW({ learningRate: 3e-3 });
  const losses: number[] = [];
  const batch = clean.shape[0]!;
  for (let step = 0; step < steps; step++) {
    const noise = draw(`noise ${step}`, clean.shape);
    const { value, gradients } = valueAndGradients(() => {
      const denoised = model.denoise(tf.add(clean, tf.mul(0.5, noise)), fill(batch, 0.5), labels);
      return tf.mean(tf.square(tf.sub(denoised, clean))) as tf.Scalar;
    }, model.parameters);
    if (step === 0 && !labels) expect(gradients.size).toBe(model.parameters.size);
    optimizer.step(model.parameters, gradients);
    losses.push(value.dataSync()[0]!);
    tf.dispose([value, noise, ...gradients.values()]);
  }
  optimizer.dispose();
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return [mean(losses.slice(0, 3)), mean(losses.slice(-3))];
}

describe("the U-Net trains on wasm", () => {
  it.each([false, true])(
    "every parameter's gradient is the cpu backend's, residual resampling %s",
    async (residual) => {
      const options = {
        ...{ blockChannels: [8, 8], normGroups: 4, headSize: 4, labels: 3, seed: 1 },
        residualResampling: residual,
      };
      const gradientsOn = async (backend: string) => {
        await tf.setBackend(backend);
        const model = createUnetDenoiser(options);
        // Past the start, where most of the net is shut off by its small last layers.
        for (const [name, variable] of model.parameters) {
          const noise = draw(name, variable.shape);
          variable.assign(tf.add(variable, tf.mul(0.1, noise)));
        }
        const { gradients } = valueAndGradients(() => {
          const out = model.denoise(
            draw("x", [2, 4, 4, 1]),
            tf.tensor1d([0.3, 4]),
            tf.tensor1d([2, -1], "int32"),
          );
          return tf.sum(tf.mul(out, draw("up", out.shape))) as tf.Scalar;
        }, model.parameters);
        return new Map([...gradients].map(([name, g]) => [name, Array.from(g.dataSync())]));
      };
      const [exact, found] = [await gradientsOn("cpu"), await gradientsOn("wasm")];
      await tf.setBackend("wasm");
      expect(found.size).toBe(exact.size);
      expect(found.size).toBeGreaterThan(90);
      for (const [name, gradient] of exact) {
        const size = Math.max(...gradient.map(Math.abs));
        try {
          assertAllClose(found.get(name)!, gradient, {
            absolute: 2e-4 * Math.max(size, 0.1),
            relative: 1e-3,
          });
        } catch (error) {
          throw new Error(`${name}: ${(error as Error).message}`);
        }
      }
    },
  );
  it("learns, and its copy stays as it was", async () => {
    const model = createUnetDenoiser({ blockChannels: [8, 16], normGroups: 4, headSize: 8, seed: 2 });
    const copy = model.copy();
    const clean = tf.tidy(() => tf.tanh(tf.mul(4, draw("stripes", [8, 1, 8, 1])).mul(tf.ones([8, 8, 8, 1]))));
    const before = copy.denoise(clean, fill(8, 1)).dataSync();
    const [first, last] = train(model, clean, 40);
    expect(last).toBeLessThan(0.6 * first);
    expect(Array.from(copy.denoise(clean, fill(8, 1)).dataSync())).toEqual(Array.from(before));
  });
  it("a seed is a model, and another one another", () => {
    const options = { blockChannels: [8], normGroups: 4, headSize: 8 };
    const first = (seed: number) =>
      Array.from(
        createUnetDenoiser({ ...options, seed })
          .all.get("conv_in.weight")!
          .dataSync(),
      );
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });
  it("refuses images and labels that do not fit", () => {
    const model = createUnetDenoiser({ blockChannels: [8, 8], normGroups: 4, headSize: 8 });
    expect(() => model.denoise(tf.zeros([1, 7, 8, 1]), fill(1, 1))).toThrow(/multiples of 2/);
    expect(() => model.denoise(tf.zeros([1, 8, 8, 1]), fill(1, 1), tf.tensor1d([0], "int32"))).toThrow(
      /without a label embedding/,
    );
    expect(() => unet2dConfig({ blockChannels: [12], normGroups: 5 })).toThrow(/5 groups/);
  });
});

describe("the MLP", () => {
  it("learns by label", () => {
    const model = createMlpDenoiser({ hidden: 32, layers: 2, labels: 2, seed: 1 });
    const labels = tf.tensor1d(
      Int32Array.from({ length: 64 }, (_, i) => i % 2),
      "int32",
    );
    const clean = tf.tensor2d(Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? [1, -1] : [-1, 1])));
    const [, last] = train(model, clean, 120, labels);
    expect(last).toBeLessThan(0.02);
    expect(() => createMlpDenoiser().denoise(tf.zeros([1, 3]), fill(1, 1))).toThrow(/expected \[batch, 2\]/);
  });
});

describe("discriminator heads", () => {
  it("over features that are chosen, with gradients to heads, and to a net that trains", () => {
    const net = createUnetDenoiser({ blockChannels: [8, 16], normGroups: 4, headSize: 8, seed: 3 });
    const heads = discriminatorHeads(net, { features: [0, -1], hidden: 8 });
    const x = draw("x", [3, 8, 8, 1]);
    const both = new Map([...heads.parameters, ...net.parameters]);
    const { value, gradients } = valueAndGradients(
      () => tf.sum(heads.logits(x, fill(3, 1))) as tf.Scalar,
      both,
    );
    expect(heads.logits(x, fill(3, 1)).shape).toEqual([3, 2]);
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    for (const name of heads.parameters.keys()) expect(gradients.has(name)).toBe(true);
    expect(gradients.has("mid_block.resnets.1.conv2.weight")).toBe(true);
    expect(gradients.has("up_blocks.0.resnets.0.conv1.weight")).toBe(false);
    expect(() => discriminatorHeads(net, { features: [9] })).toThrow(/no feature 9; the net has 3/);
  });
});
