import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { valueAndGradients } from "./gradients.ts";
import { rmsNorm } from "./rms-norm.ts";
import { assertAllClose, assertNoLeak, onEachBackend } from "./testing/index.ts";

const variable = (values: number[]): tf.Variable => tf.tidy(() => tf.variable(tf.tensor1d(values)));

it("returns the value and d(a²b)/da, d(a²b)/db by name, and nothing for a bystander", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const [a, b, idle] = [variable([3]), variable([5]), variable([1])];
    const { value, gradients } = valueAndGradients(
      () => tf.sum(tf.mul(tf.square(a!), b!)) as tf.Scalar,
      new Map(Object.entries({ a: a!, b: b!, idle: idle! })),
    );
    assertAllClose(value, 45);
    expect([...gradients.keys()]).toEqual(["a", "b"]);
    assertAllClose(gradients.get("a")!, [30]);
    assertAllClose(gradients.get("b")!, [9]);
    tf.dispose([a!, b!, idle!, value, ...gradients.values()]);
  }));

it("gives a variable under two names both times the same gradient", async () => {
  await tf.setBackend("cpu");
  const tied = variable([2]);
  const { gradients } = valueAndGradients(
    () => tf.sum(tf.mul(tied, tied)) as tf.Scalar,
    new Map([
      ["embed", tied],
      ["head", tied],
    ]),
  );
  assertAllClose(gradients.get("embed")!, [4]);
  expect(gradients.get("head")).toBe(gradients.get("embed"));
});

it("agrees with TensorFlow.js' own walk on a graph with branches, aliases and multi-output kernels", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const w = variable([0.3, -0.7, 1.1]);
    const s = variable([1, 0.5, 2]);
    const f = () => {
      const x = tf.tidy(() => tf.reshape(tf.mul(w, 2), [1, 3]));
      const y = rmsNorm(tf.add(x, x), s, 1e-5);
      const z = tf.addN([y, x, tf.reshape(s, [1, 3]), y]);
      return tf.sum(tf.mul(z, tf.sigmoid(z))) as tf.Scalar;
    };
    const own = valueAndGradients(f, new Map(Object.entries({ w, s })));
    const stock = tf.variableGrads(f, [w, s]);
    assertAllClose(own.value, stock.value, { absolute: 0, relative: 0 });
    assertAllClose(own.gradients.get("w")!, stock.grads[w.name]!, { absolute: 1e-6 });
    assertAllClose(own.gradients.get("s")!, stock.grads[s.name]!, { absolute: 1e-6 });
    tf.dispose([w, s, own.value, stock.value, ...own.gradients.values(), ...Object.values(stock.grads)]);
  }));

it("can be differentiated through", async () => {
  await tf.setBackend("cpu");
  const w = variable([2]);
  const second = tf.grad((x: tf.Tensor) => {
    const { gradients } = valueAndGradients(
      () => tf.sum(tf.mul(tf.pow(w, 3), x)) as tf.Scalar,
      new Map([["w", w]]),
    );
    return tf.sum(gradients.get("w")!);
  })(tf.tensor1d([1]));
  assertAllClose(second, [12]);
});

it("frees what it made, also when f throws or the value is no scalar", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const w = variable([1, 2]);
    const parameters = new Map([["w", w]]);
    const square = () => tf.sum(tf.square(tf.exp(w))) as tf.Scalar;
    await assertNoLeak(() => {
      const { value, gradients } = valueAndGradients(square, parameters);
      tf.dispose([value, ...gradients.values()]);
    });
    await assertNoLeak(() => {
      tf.tidy(() => void valueAndGradients(square, parameters));
    });
    await assertNoLeak(() => {
      expect(() => valueAndGradients(() => tf.exp(w) as tf.Scalar, parameters)).toThrow(/shape \[2\]/);
    });
    await assertNoLeak(() => {
      const broken = () => {
        square();
        throw new Error("stop");
      };
      expect(() => valueAndGradients(broken, parameters)).toThrow("stop");
    });
    await assertNoLeak(() => {
      expect(() => valueAndGradients(() => tf.scalar(1), parameters)).toThrow(/influences/);
    });
    w.dispose();
  }));

it("holds fewer bytes at its peak than TensorFlow.js' own walk", async () => {
  await tf.setBackend("cpu");
  const w = tf.tidy(() => tf.variable(tf.randomUniform([64, 64], -0.1, 0.1, "float32", 1)));
  let peak = 0;
  // Every gradient of this chain passes here, so the largest count is the backward pass's own.
  const watch = tf.customGrad((x) => ({
    value: tf.add(x as tf.Tensor, 0),
    gradFunc: (dy: tf.Tensor) => {
      peak = Math.max(peak, tf.memory().numBytes);
      return tf.add(dy, 0);
    },
  }));
  const f = () => {
    let x: tf.Tensor = w;
    for (let i = 0; i < 12; i++) x = tf.tidy(() => watch(tf.sigmoid(x)));
    return tf.sum(x) as tf.Scalar;
  };
  const measure = (run: () => tf.Tensor[]): number => {
    const before = tf.memory().numBytes;
    peak = 0;
    tf.dispose(run());
    return peak - before;
  };
  const stock = measure(() => {
    const { value, grads } = tf.variableGrads(f, [w]);
    return [value, ...Object.values(grads)];
  });
  const own = measure(() => {
    const { value, gradients } = valueAndGradients(f, new Map([["w", w]]));
    return [value, ...gradients.values()];
  });
  expect(own).toBeLessThan(0.7 * stock);
});

it("refuses an empty set of parameters", () => {
  expect(() => valueAndGradients(() => tf.scalar(1), new Map())).toThrow(/no parameter/);
});

it("keeps a gradient that an operation saved and hands out as it is", () => {
  const x = tf.variable(tf.tensor1d([1, 2, 3]));
  const upstream = tf.tensor1d([4, 5, 6]);
  const fed = tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([upstream]);
    const value = tf.sum(input as tf.Tensor);
    return { value, gradFunc: (_dy: tf.Tensor, saved: tf.Tensor[]) => [saved[0]!] };
  });
  const { value, gradients } = valueAndGradients(() => fed(tf.mul(x, 2)) as tf.Scalar, new Map([["x", x]]));
  expect(Array.from(gradients.get("x")!.dataSync())).toEqual([8, 10, 12]);
  tf.dispose([value, x, upstream, ...gradients.values()]);
});
