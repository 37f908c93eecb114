import "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import {
  attention,
  crossEntropy,
  embedding,
  layerNorm,
  linear,
  rmsNorm,
  selectedLogProbs,
  startBackend,
  swiglu,
  valueAndGradients,
} from "./index.ts";
import { random } from "./random.ts";

setWasmPaths("/packages/tensor-core/node_modules/@tensorflow/tfjs-backend-wasm/dist/");
const load = { webgpu: () => import("@tensorflow/tfjs-backend-webgpu") };

/** A layer of a decoder with its head: value and every gradient, in the order of the names. */
async function layer(): Promise<Float32Array[]> {
  const draw = random("browser");
  const shapes = {
    table: [13, 8],
    query: [8, 8],
    key: [4, 8],
    value: [4, 8],
    gate: [12, 8],
    up: [12, 8],
    down: [8, 12],
    norm: [8],
    shift: [8],
    head: [13, 8],
  };
  const parameters = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const values = tf.tensor(draw.normal(tf.util.sizeFromShape(shape)), shape);
      return [name, tf.variable(values)] as const;
    }),
  );
  const of = (name: keyof typeof shapes) => parameters.get(name)!;
  const ids = tf.tensor2d([1, 5, 2, 9, 0, 12, 7, 3], [2, 4], "int32");
  const layout = tf.tensor2d([0, 4, 2 ** 31 - 1, 0, 2, 3], [2, 3], "int32");
  const { value, gradients } = valueAndGradients(() => {
    const x = embedding(of("table"), ids);
    const normal = rmsNorm(x, of("norm"), 1e-5);
    const sees = attention(
      linear(normal, of("query")) as tf.Tensor3D,
      linear(normal, of("key")) as tf.Tensor3D,
      linear(normal, of("value")) as tf.Tensor3D,
      layout,
      { heads: 2, kvHeads: 1 },
    );
    const wide = layerNorm(tf.add(x, sees), of("norm"), of("shift"), 1e-5);
    const out = linear(swiglu(linear(wide, of("gate")), linear(wide, of("up"))), of("down"));
    const rows = tf.reshape(tf.add(wide, out), [8, 8]) as tf.Tensor2D;
    const targets = tf.tensor1d([5, 2, 9, 1, 12, 7, 3, 0], "int32");
    const picked = selectedLogProbs(rows, of("head") as unknown as tf.Tensor2D, targets);
    const scores = crossEntropy(linear(rows, of("head")) as tf.Tensor2D, targets);
    return tf.sub(tf.sum(scores), tf.sum(picked)) as tf.Scalar;
  }, parameters);
  const tensors = [value, ...Object.keys(shapes).map((name) => gradients.get(name)!)];
  const read = await Promise.all(tensors.map(async (tensor) => (await tensor.data()) as Float32Array));
  tf.dispose([...tensors, ids, layout, ...parameters.values()]);
  return read;
}

it("computes a layer and its gradients on wasm and webgpu as on cpu", async () => {
  expect((await startBackend({ backend: "cpu" })).backend).toBe("cpu");
  const expected = await layer();
  for (const backend of ["wasm", "webgpu"] as const) {
    const started = await startBackend({ backend, load });
    expect(tf.getBackend()).toBe(backend);
    expect(started.backend).toBe(backend);
    for (const [i, values] of (await layer()).entries()) {
      const scale = Math.max(...expected[i]!.map(Math.abs));
      values.forEach((value, j) => {
        expect(Math.abs(value - expected[i]![j]!), `${backend}, ${i}, ${j}`).toBeLessThan(2e-5 * scale);
      });
    }
  }
});

it("takes the best that is there, and says why better ones were passed over", async () => {
  expect((await startBackend({ load })).backend).toBe("webgpu");
  tf.removeBackend("webgpu");
  const { backend, passedOver } = await startBackend();
  expect(backend).toBe("wasm");
  expect(passedOver).toEqual([
    { backend: "webgpu", reason: 'import "@tensorflow/tfjs-backend-webgpu", or give load.webgpu' },
  ]);
  await expect(startBackend({ backend: "webgpu" })).rejects.toThrow(
    /"webgpu" can't start[\s\S]*load\.webgpu/,
  );
  await expect(startBackend({ backend: "tensorflow" as never })).rejects.toThrow(/no backend "tensorflow"/);
  await expect(startBackend({ threads: 0 })).rejects.toThrow(/no number of threads/);
});
