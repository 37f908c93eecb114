import "@tensorflow/tfjs";
import { costMatrix, sinkhornPlan } from "@fdiv/sinkhorn-kd";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { checkConfig } from "../config/config-file.ts";
import { kdLoss, kdTerms } from "./kd-loss.ts";
import { kdSchema } from "./kd-schema.ts";
import { lossTerm, type Signals } from "./loss-terms.ts";
import { rowErrorAlarm } from "./row-error-alarm.ts";

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
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

const configOf = (loss: string, sinkhorn: object) => {
  const given = { task: { name: "rte", folder: "t" }, teacher: { model: "a" }, student: { layers: 1 } };
  return checkConfig(kdSchema, { ...given, output: "o", loss, sinkhorn }, "test");
};

/** A term's sum and its gradient. */
function measured(name: string, sinkhorn: object): { sum: number; gradient: Float32Array } {
  const config = configOf(name, sinkhorn);
  return tf.tidy(() => {
    const student = tf.randomNormal([5, 6], 0, 2, "float32", 1) as tf.Tensor2D;
    const found = tf.valueAndGrad((x) => lossTerm(name, 1, config).sums(signals(x as tf.Tensor2D)).loss)(
      student,
    );
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

describe("sample-wise transport", () => {
  it("is what its iterations come to where none are written, also at a λ whose first iterations move nothing", () => {
    const closed = measured("sample-wise", { lambda: 0.01 });
    expect(closed.sum).toBeGreaterThan(0.1);
    expect(Math.max(...closed.gradient.map(Math.abs))).toBeGreaterThan(1e-3);
    expect(measured("sample-wise", { lambda: 0.01, iterations: 20 }).sum).toBeLessThan(0.1 * closed.sum);
    expect(measured("sample-wise", { lambda: 0.3 }).sum).toBeCloseTo(
      measured("sample-wise", { lambda: 0.3, tolerance: 1e-5 }).sum,
      3,
    );
  });
});

describe("how far plans are off their rows", () => {
  /** The logged share, as the training loop divides it. */
  const share = (loss: string, sinkhorn: object, counted?: number): number =>
    tf.tidy(() => {
      const config = configOf(loss, sinkhorn);
      const student = tf.randomNormal([5, 6], 0, 2, "float32", 1) as tf.Tensor2D;
      const options = counted === undefined ? {} : { counted };
      const { metrics } = kdLoss(kdTerms(config), signals(student), options);
      return metrics[`${loss}/row-error`]!.dataSync()[0]! / (counted ?? 5);
    });

  it("is a share of the mass, whatever the loop counts", () => {
    const off = tf.tidy(() => {
      const law = (seed: number) => tf.softmax(tf.div(tf.randomNormal([5, 6], 0, 2, "float32", seed), 2));
      const cost = costMatrix(law(1) as tf.Tensor2D, law(2) as tf.Tensor2D, "l1");
      const plan = sinkhornPlan(cost, { lambda: 0.1, iterations: 2, marginals: "unit" });
      return tf.mean(tf.abs(tf.sub(tf.sum(plan, 1), 1))).dataSync()[0]!;
    });
    expect(off).toBeGreaterThan(0.01);
    for (const counted of [undefined, 2])
      expect(share("sinkhorn", { iterations: 2 }, counted)).toBeCloseTo(off, 5);
  });

  it.each(["sinkhorn", "multi-level", "sample-wise"])("falls with the iterations of %s", (loss) => {
    const few = share(loss, { iterations: 1 });
    expect(few).toBeGreaterThan(0.01);
    expect(share(loss, { iterations: 100 })).toBeLessThan(0.3 * few);
  });

  it("is warned of once where it is large", () => {
    const warn = vi.fn();
    const alarm = rowErrorAlarm(warn);
    for (const row of [{ "sinkhorn/row-error": 0.02 }, { loss: 3 }]) alarm(row);
    expect(warn).not.toHaveBeenCalled();
    for (const off of [0.31, 0.4]) alarm({ "sinkhorn/row-error": off });
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^sinkhorn\/row-error: .* off by 31 % .*raise sinkhorn\.iterations/)],
    ]);
  });
});
