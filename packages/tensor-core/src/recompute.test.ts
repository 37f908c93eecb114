import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { valueAndGradients } from "./gradients.ts";
import { linear } from "./linear.ts";
import { startBackend } from "./node/backend.ts";
import { random } from "./random.ts";
import { recomputed } from "./recompute.ts";

const draw = random("recompute");
const normal = (...shape: number[]) => tf.tensor(draw.normal(tf.util.sizeFromShape(shape)), shape);

describe.each(["cpu", "wasm"])("on %s", (backend) => {
  beforeAll(async () => {
    await startBackend({ backend });
  });

  const chain = (depth: number, width: number) => {
    const parameters = new Map<string, tf.Variable>();
    for (let i = 0; i < depth; i++)
      for (const part of ["a", "b"])
        parameters.set(`${i}.${part}`, tf.variable(tf.mul(normal(width, width), 0.2)));
    const input = normal(6, width);
    const layer = (i: number) => (x: tf.Tensor) =>
      tf.add(
        x,
        linear(linear(x, parameters.get(`${i}.a`)!, { activation: "gelu" }), parameters.get(`${i}.b`)!),
      );
    const own = (i: number) => new Map([...parameters].filter(([name]) => name.startsWith(`${i}.`)));
    const run = (recompute: boolean) => () => {
      let x: tf.Tensor = input;
      for (let i = 0; i < depth; i++)
        x = recompute ? recomputed(x, own(i), layer(i)) : tf.tidy(() => layer(i)(x));
      return tf.sum(tf.square(x)) as tf.Scalar;
    };
    return { parameters, run };
  };

  it("gives the same value and gradients, and leaves nothing behind", () => {
    const { parameters, run } = chain(3, 8);
    const plain = valueAndGradients(run(false), parameters);
    const before = tf.memory().numTensors;
    const again = valueAndGradients(run(true), parameters);
    expect(again.value.dataSync()).toEqual(plain.value.dataSync());
    expect([...again.gradients.keys()]).toEqual([...plain.gradients.keys()]);
    for (const [name, gradient] of again.gradients)
      expect(gradient.dataSync(), name).toEqual(plain.gradients.get(name)!.dataSync());
    tf.dispose([again.value, ...again.gradients.values()]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("holds one step's tensors where the plain way holds all", () => {
    const { parameters, run } = chain(12, 16);
    const kept = (recompute: boolean) => {
      let most = 0;
      const counted = () => {
        const value = run(recompute)();
        most = tf.memory().numTensors;
        return value;
      };
      const { value, gradients } = valueAndGradients(counted, parameters);
      tf.dispose([value, ...gradients.values()]);
      return most;
    };
    const base = tf.memory().numTensors;
    expect(kept(true) - base).toBeLessThan(0.4 * (kept(false) - base));
  });
});

it("says that it does not nest", () => {
  const w = tf.variable(tf.scalar(2));
  const inner = (x: tf.Tensor) => recomputed(x, new Map([["w", w]]), (y) => tf.mul(y, w));
  const outer = tf.grad((x: tf.Tensor) => tf.grad((y: tf.Tensor) => inner(y))(x));
  expect(() => outer(tf.scalar(1))).toThrow(/inside another gradient/);
});
