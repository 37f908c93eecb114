import "@tensorflow/tfjs";
import {
  alpha,
  type Divergence,
  divergence,
  forwardKl,
  jensenShannon,
  reverseKl,
  squaredHellinger,
} from "@fdiv/divergences";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { names } from "./admitted-divergences.testing.ts";
import {
  densityRatio,
  distributionMatching,
  karrasUniformNoise,
  ratioNormaliser,
  variationalScoreDistillation,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("variance of the weights, Var_q(h)/E_q[h]²", () => {
  /** Draws of N(μ, 1) without chance: the quantiles' midpoints. */
  const metrics = (d: Divergence, mean: number) => {
    const count = 300_000;
    const x = Float32Array.from({ length: count }, (_, i) => mean + probit((i + 0.5) / count));
    const logRatio = tf.tensor1d(x.map((value) => mean ** 2 / 2 - mean * value));
    const zero = tf.zeros([count, 1]);
    const { metrics: found } = distributionMatching(
      {
        generated: zero,
        teacherDenoised: zero,
        fakeDenoised: zero,
        sigmas: new Float32Array(count).fill(1),
        logRatio,
      },
      { divergence: d },
    );
    return {
      variance: found.weightVariance!.dataSync()[0]!,
      share: found.effectiveSampleShare!.dataSync()[0]!,
    };
  };

  it.each([
    [forwardKl, 1, Math.E - 1, 0.02],
    [jensenShannon, 1, 0.256, 0.002],
    [jensenShannon, 2, 1.224, 0.002],
    [squaredHellinger, 1, 0.284, 0.002],
    [squaredHellinger, 2, 1.718, 0.01],
    [reverseKl, 2, 0, 0],
  ])("$0.name at μ = $1 is $2", (d, mean, exact, tolerance) => {
    const { variance, share } = metrics(d, mean);
    expect(Math.abs(variance - exact)).toBeLessThanOrEqual(tolerance * Math.max(exact, 1e-3) + 5e-4);
    expect(share).toBeCloseTo(1 / (1 + variance), 4);
  });
});

/** Φ⁻¹ by Newton's method on Φ, itself by its series and continued fraction. */
function probit(p: number): number {
  if (p > 0.5) return -probit(1 - p);
  let x = -Math.sqrt(-2 * Math.log(2 * p) + 1e-12) * 0.9;
  for (let i = 0; i < 60; i++) {
    const density = Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI);
    const change = (normalMass(x) - p) / density;
    x -= Math.max(-0.5, Math.min(0.5, change));
    if (Math.abs(change) < 1e-10) break;
  }
  return x;
}

function normalMass(x: number): number {
  const density = Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI);
  if (x > -2) {
    let [term, sum] = [x, x];
    for (let k = 3; k < 120; k += 2) sum += term *= (x * x) / k;
    return 0.5 + density * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / (-x + fraction);
  return density / (-x + fraction);
}

describe("the official order of operations", () => {
  const source = random("official order");
  const [batch, heads, elements] = [24, 3, 5];
  const logits = source
    .fork("logits")
    .normal(batch * heads)
    .map((x) => 6 * x);
  const sigmas = karrasUniformNoise().draw(source.fork("sigma"), batch);
  const [g, teacher, fake] = ["g", "teacher", "fake"].map((name) =>
    source.fork(name).normal(batch * elements),
  );

  /** Written from the paper's and its code's description, on plain numbers. */
  function byHand(d: Divergence, bins: number[], decay: number) {
    const raw = sigmas.map((_, i) => {
      const mean = (logits[3 * i]! + logits[3 * i + 1]! + logits[3 * i + 2]!) / 3;
      return Math.min(20, Math.max(0.1, Math.exp(Math.min(10, Math.max(-10, mean)))));
    });
    const bin = Array.from(sigmas, (s) => Math.min(9, Math.max(0, Math.floor((s - 0.002) / 7.9998))));
    const means = bins.map((mean, b) => {
      const own = [...raw].filter((_, i) => bin[i] === b);
      return own.length === 0
        ? mean
        : decay * mean + ((1 - decay) * own.reduce((x, y) => x + y, 0)) / own.length;
    });
    const h = Array.from(raw, (r, i) => d.weight(-Math.log(r / means[bin[i]!]!)));
    const meanH = h.reduce((x, y) => x + y, 0) / batch;
    const gradient = Array.from({ length: batch * elements }, (_, k) => {
      const i = Math.floor(k / elements);
      let distance = 0;
      for (let e = 0; e < elements; e++)
        distance += Math.abs(g![i * elements + e]! - teacher![i * elements + e]!) / elements;
      return (h[i]! / meanH / (distance + 1e-6)) * (fake![k]! - teacher![k]!);
    });
    return { gradient, means };
  }

  it.each(["jensen-shannon", "forward-kl", "squared-hellinger"])("%s", async (name) => {
    const normaliser = ratioNormaliser({ decay: 0.5 });
    const shape = [batch, elements] as [number, number];
    const generated = tf.variable(tf.tensor2d(g!, shape));
    const parameters = new Map([["g", generated as tf.Variable]]);
    const run = () => {
      let found: ReturnType<typeof distributionMatching> | undefined;
      const { value, gradients } = valueAndGradients(() => {
        found = distributionMatching(
          {
            generated,
            teacherDenoised: tf.tensor2d(teacher!, shape),
            fakeDenoised: tf.tensor2d(fake!, shape),
            sigmas,
            logits: tf.tensor2d(logits, [batch, heads]),
          },
          { divergence: divergence(name), normaliser },
        );
        return tf.mean(found.loss) as tf.Scalar;
      }, parameters);
      return { found: found!, loss: value.dataSync()[0]!, gradient: gradients.get("g")!.dataSync() };
    };
    run();
    const first = byHand(divergence(name), new Array<number>(10).fill(1), 0.5);
    const second = byHand(divergence(name), first.means, 0.5);
    const { found, loss, gradient } = run();
    const size = batch * elements;
    second.gradient.forEach((x, k) => {
      expect(found.gradient.dataSync()[k]!).toBeCloseTo(x, 4);
      expect(gradient[k]! * size).toBeCloseTo(x, 4);
    });
    expect(loss).toBeCloseTo((0.5 * second.gradient.reduce((sum, x) => sum + x * x, 0)) / size, 3);
    (await normaliser.state()).means.forEach((mean, b) => {
      expect(mean).toBeCloseTo(second.means[b]!, 5);
    });
    expect(found.metrics.clampedRatios!.dataSync()[0]!).toBeGreaterThan(0.1);
  });

  it("without logits, reverse KL is variational score distillation", () => {
    const shape = [batch, elements] as [number, number];
    const inputs = {
      generated: tf.tensor2d(g!, shape),
      teacherDenoised: tf.tensor2d(teacher!, shape),
      fakeDenoised: tf.tensor2d(fake!, shape),
      sigmas,
    };
    const vsd = variationalScoreDistillation(inputs);
    const named = distributionMatching(inputs, { divergence: reverseKl });
    expect(Array.from(vsd.gradient.dataSync())).toEqual(Array.from(named.gradient.dataSync()));
    for (const weight of vsd.weights.dataSync()) expect(weight).toBeCloseTo(1, 5);
  });

  it("no gradient goes to the denoisers or the logits", () => {
    const parameters = new Map(
      ["g", "teacher", "fake", "logits"].map((name) => [name, tf.variable(tf.ones([2, 3]))]),
    );
    const { gradients } = valueAndGradients(() => {
      const { loss } = distributionMatching(
        {
          generated: tf.mul(2, parameters.get("g")!),
          teacherDenoised: tf.mul(0.5, parameters.get("teacher")!),
          fakeDenoised: tf.mul(3, parameters.get("fake")!),
          logits: tf.mul(0.1, parameters.get("logits")!),
          sigmas: [1, 2],
        },
        { divergence: jensenShannon },
      );
      return tf.sum(loss) as tf.Scalar;
    }, parameters);
    expect([...gradients.keys()]).toEqual(["g"]);
  });
});

describe("refuses what means nothing", () => {
  const zero = tf.tidy(() => tf.zeros([2, 1]));
  const inputs = { generated: zero, teacherDenoised: zero, fakeDenoised: zero, sigmas: [1, 1] };
  const logits = () => tf.zeros([2]);
  it.each([
    [
      "a missing ratio",
      () => distributionMatching(inputs, { divergence: forwardKl }),
      /weighs by the density ratio/,
    ],
    [
      "two ratios",
      () =>
        distributionMatching(
          { ...inputs, logits: logits(), logRatio: logits() as tf.Tensor1D },
          { divergence: forwardKl },
        ),
      /not both/,
    ],
    [
      "a normaliser without logits",
      () =>
        distributionMatching(
          { ...inputs, logRatio: logits() as tf.Tensor1D },
          { divergence: forwardKl, normaliser: ratioNormaliser() },
        ),
      /no logits to correct/,
    ],
    [
      "sigmas",
      () => distributionMatching({ ...inputs, sigmas: [1] }, { divergence: reverseKl }),
      /1 noise levels/,
    ],
    [
      "an option",
      () => distributionMatching(inputs, { divergence: reverseKl, balnce: true } as never),
      /unknown option "balnce"/,
    ],
    [
      "a scale",
      () => distributionMatching(inputs, { divergence: reverseKl, scale: "x" as never }),
      /no scale "x"/,
    ],
    ["bins", () => ratioNormaliser({ bins: 0 }), /0 bins/],
    ["clamps", () => densityRatio(tf.zeros([1]), { range: [0, 1] }), /0 < low < high/],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
  });
});

it("extreme logits and equal denoisers give finite numbers", () => {
  const x = tf.tensor2d([[0], [1e4]]);
  for (const name of [...names, "alpha:3"]) {
    const { gradient, weights } = distributionMatching(
      {
        generated: x,
        teacherDenoised: x,
        fakeDenoised: x,
        sigmas: [1e-3, 80],
        logits: tf.tensor1d([-1e4, 1e4]),
      },
      { divergence: divergence(name), normaliser: ratioNormaliser() },
    );
    for (const value of [...gradient.dataSync(), ...weights.dataSync()])
      expect(Number.isFinite(value)).toBe(true);
  }
  expect(alpha(3).name).toBe("alpha:3");
});
