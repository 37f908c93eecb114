import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { checkConfig } from "../config/config-file.ts";
import { kdSchema } from "./kd-schema.ts";
import { lossTerm, type Signals } from "./loss-terms.ts";

beforeAll(async () => {
  await startBackend({ backend: "cpu" });
});

const sequence = Int32Array.of(0, 0, 0, 1, 1);
const signals = (student: tf.Tensor2D): Signals => ({
  student,
  teacher: tf.randomNormal([5, 6], 0, 2, "float32", 2) as tf.Tensor2D,
  labels: Int32Array.of(0, 1, 2, 3, 4),
  ...{ sequence, teacherSequence: sequence, examples: 2 },
  labelled: new Float32Array(5).fill(1),
  isRegression: false,
});

/** A term's sum and the size of its gradient. */
function measured(name: string, sinkhorn: object): { sum: number; gradient: Float32Array } {
  const given = { task: { name: "rte", folder: "t" }, teacher: { model: "a" }, student: { layers: 1 } };
  const config = checkConfig(kdSchema, { ...given, output: "o", loss: name, sinkhorn }, "test");
  return tf.tidy(() => {
    const student = tf.randomNormal([5, 6], 0, 2, "float32", 1) as tf.Tensor2D;
    const found = tf.valueAndGrad((x) => lossTerm(name, 1, config).sum(signals(x as tf.Tensor2D)))(student);
    return { sum: found.value.dataSync()[0]!, gradient: found.grad.dataSync() as Float32Array };
  });
}

describe("transport's options", () => {
  it.each(["sinkhorn", "sample-wise", "multi-level"])(
    "reach %s: λ, iterations, tolerance and gradient",
    (name) => {
      const sum = (sinkhorn: object) => measured(name, sinkhorn).sum;
      const once = sum({ iterations: 1 });
      const converged = sum({ iterations: 100 });
      expect(Math.abs(once - converged)).toBeGreaterThan(1e-4);
      expect(sum({ tolerance: 1e-4 })).toBeCloseTo(converged, 3);
      expect(Math.abs(sum({ lambda: 1 }) - sum({}))).toBeGreaterThan(1e-3);
      const [unrolled, implicit] = (["unrolled", "implicit"] as const).map(
        (gradient) => measured(name, { iterations: 1, gradient }).gradient,
      );
      const apart = unrolled!.map((value, i) => Math.abs(value - implicit![i]!));
      expect(Math.max(...apart)).toBeGreaterThan(1e-5);
    },
  );

  it.each([
    { cost: "cosine" },
    { cost: "squaredEuclidean" },
    { debiased: true },
    { formulation: "sequence" },
  ])("reach sinkhorn: %j", (sinkhorn) => {
    expect(Math.abs(measured("sinkhorn", sinkhorn).sum - measured("sinkhorn", {}).sum)).toBeGreaterThan(1e-3);
  });
});
