import "@tensorflow/tfjs";
import {
  alpha,
  type Divergence,
  divergence,
  forwardKl,
  jensenShannon,
  reverseKl,
  squaredHellinger,
  totalVariation,
} from "@fdiv/divergences";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  checkWeightAdmissible,
  densityRatio,
  discriminatorLoss,
  distributionMatching,
  gaussian,
  InadmissibleWeightError,
  isWeightAdmissible,
  karrasUniformNoise,
  ratioNormaliser,
  variationalScoreDistillation,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const names = [
  "reverse-kl",
  "forward-kl",
  "jensen-shannon",
  "squared-hellinger",
  "jeffreys",
  "softened-reverse-kl",
  "softened-forward-kl",
  "alpha:0.5",
  "alpha:0.3",
  "neyman-chi2",
  "pearson-chi2",
];

/** D_f(N(mean, deviation²)‖N(0, 1)) in float64, from the divergence's value alone: it knows nothing of weights. */
function exactBetween(d: Divergence, mean: number, deviation: number): number {
  const width = 0.002;
  let sum = 0;
  for (let x = -18; x <= 18; x += width) {
    const logTarget = -(x ** 2) / 2 - Math.log(2 * Math.PI) / 2;
    const logModel = -(((x - mean) / deviation) ** 2) / 2 - Math.log(2 * Math.PI) / 2 - Math.log(deviation);
    const l = logModel - logTarget;
    // The same number either way; each where it does not overflow.
    const term = l < 0 ? Math.exp(logTarget) * d.value(l) : Math.exp(logModel) * d.dual().value(-l);
    sum += width * term;
  }
  return sum;
}

/** Its slopes by mean and by deviation at noise level σ, where both laws are wider by σ². */
function exactSlopes(d: Divergence, mean: number, deviation: number, sigma: number): [number, number] {
  const scale = Math.sqrt(1 + sigma ** 2);
  const at = (m: number, s: number) => exactBetween(d, m / scale, Math.sqrt(s ** 2 + sigma ** 2) / scale);
  const h = 1e-4;
  return [
    (at(mean + h, deviation) - at(mean - h, deviation)) / (2 * h),
    (at(mean, deviation + h) - at(mean, deviation - h)) / (2 * h),
  ];
}

/** Weights of a quadrature over a standard normal: the trapezoid rule, exact to rounding for analytic functions. */
const nodes = Float32Array.from({ length: 1601 }, (_, i) => (i - 800) / 80);
const nodeWeights = nodes.map((u) => Math.exp(-(u ** 2) / 2) / Math.sqrt(2 * Math.PI) / 80);

/**
 * The gradient on the parameters of G(z) = mean + deviation·z against the teacher N(0, 1), fake scores and ratio exact, at noise level σ.
 * x_t = mean + deviation·z + σε; the batch is either quadrature nodes or draws.
 */
function parameterGradients(
  d: Divergence,
  [mean, deviation, sigma]: [number, number, number],
  z: Float32Array,
  epsilon: Float32Array,
  weights?: Float32Array,
): { gradients: [number, number]; errors: [number, number] } {
  const parameters = new Map([
    ["mean", tf.variable(tf.scalar(mean))],
    ["deviation", tf.variable(tf.scalar(deviation))],
  ]);
  const teacher = gaussian([0], 1);
  const fake = gaussian([mean], deviation ** 2);
  const sigmas = new Float32Array(z.length).fill(sigma);
  const level = tf.tensor1d(sigmas);
  const latent = tf.tensor2d(z, [z.length, 1]);
  const x = tf.tidy(() =>
    tf.add(tf.add(mean, tf.mul(deviation, latent)), tf.mul(sigma, tf.tensor2d(epsilon, [z.length, 1]))),
  );
  let per: Float32Array | undefined;
  const { gradients } = valueAndGradients(() => {
    const generated = tf.add(parameters.get("mean")!, tf.mul(parameters.get("deviation")!, latent));
    const { loss, gradient } = distributionMatching(
      {
        generated,
        sigmas,
        teacherDenoised: teacher.denoise(x, level),
        fakeDenoised: fake.denoise(x, level),
        logRatio: tf.sub(teacher.logDensity(x, level), fake.logDensity(x, level)),
      },
      { divergence: d, scale: "score", balance: false },
    );
    per = gradient.dataSync() as Float32Array;
    return (weights ? tf.sum(tf.mul(loss, tf.tensor1d(weights))) : tf.mean(loss)) as tf.Scalar;
  }, parameters);
  const spread = (values: number[]) => {
    const average = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((a, b) => a + (b - average) ** 2, 0) / values.length ** 2);
  };
  const errors: [number, number] = [spread([...per!]), spread([...per!].map((g, i) => g * z[i]!))];
  return {
    gradients: [gradients.get("mean")!.dataSync()[0]!, gradients.get("deviation")!.dataSync()[0]!],
    errors,
  };
}

describe("the gradient on a generator's parameters is that of D_f", () => {
  it.each(names)("%s: by quadrature, to float32's digits", (name) => {
    const d = divergence(name);
    // x_t = mean + u√(1 + σ²) in law; all of u is put into z, which moves the mean alone.
    const sigma = 0.6;
    const scale = Math.sqrt(1 + sigma ** 2);
    const mean = 0.8;
    const z = nodes.map((u) => u * scale);
    const { gradients } = parameterGradients(d, [mean, 1, sigma], z, new Float32Array(z.length), nodeWeights);
    const [slope] = exactSlopes(d, mean, 1, sigma);
    expect(Math.abs(gradients[0] / slope - 1)).toBeLessThan(2e-5);
  });

  it.each([
    ["alpha:0.3", 0.3],
    ["alpha:0.5", 0.5],
    ["reverse-kl", 0],
    ["forward-kl", 1],
  ])("%s: the closed form μ·exp(α(α−1)μ²/2) with its chain factor", (name, a) => {
    for (const [mean, sigma] of [
      [0.5, 0.1],
      [1, 1],
      [2, 2],
    ] as const) {
      const scale = Math.sqrt(1 + sigma ** 2);
      const z = nodes.map((u) => u * scale);
      const { gradients } = parameterGradients(
        divergence(name),
        [mean, 1, sigma],
        z,
        new Float32Array(z.length),
        nodeWeights,
      );
      const reduced = mean / scale;
      const exact = (reduced * Math.exp((a * (a - 1) * reduced ** 2) / 2)) / scale;
      expect(Math.abs(gradients[0] / exact - 1)).toBeLessThan(2e-5);
    }
  });

  it("Jensen–Shannon at μ = 1: D .222843, gradient .397973", () => {
    const sigma = 0.05;
    const scale = Math.sqrt(1 + sigma ** 2);
    const z = nodes.map((u) => u * scale);
    const { gradients } = parameterGradients(
      jensenShannon,
      [scale, 1, sigma],
      z,
      new Float32Array(z.length),
      nodeWeights,
    );
    expect(Math.abs((gradients[0] * scale) / 0.397973 - 1)).toBeLessThan(3e-5);
    expect(exactBetween(jensenShannon, 1, 1)).toBeCloseTo(0.222843, 6);
  });

  // Neyman's weight e^{−2l} has no variance under a narrower generator.
  it.each(names.filter((name) => name !== "neyman-chi2"))(
    "%s: by 20 000 draws, within 4 standard errors, mean and deviation",
    (name) => {
      const source = random(`draws of ${name}`);
      const [mean, deviation, sigma] = [0.5, 0.8, 0.7] as const;
      const found = parameterGradients(
        divergence(name),
        [mean, deviation, sigma],
        source.fork("z").normal(20_000),
        source.fork("noise").normal(20_000),
      );
      exactSlopes(divergence(name), mean, deviation, sigma).forEach((slope, i) => {
        expect(Math.abs(found.gradients[i]! - slope)).toBeLessThan(4 * found.errors[i]!);
        // Wide errors would make the line above say nothing.
        expect(found.errors[i]!).toBeLessThan(0.12 * Math.max(1, Math.abs(slope)));
      });
    },
  );
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

describe("the ratio", () => {
  it("counts what its clamps cut", () => {
    const { ratio, clampedLogits, clampedRatios } = densityRatio(tf.tensor1d([-11, -3, 0, 2, 5, 12]));
    [0.1, 0.1, 1, Math.exp(2), 20, 20].forEach((r, i) => {
      expect(ratio.dataSync()[i]!).toBeCloseTo(r, 4);
    });
    expect(Array.from(clampedLogits.dataSync())).toEqual([1, 0, 0, 0, 0, 1]);
    expect(Array.from(clampedRatios.dataSync())).toEqual([1, 1, 0, 0, 1, 1]);
  });

  it("64 % of Karras' draws fall in the first linear bin, and log bins spread them", () => {
    const sigmas = karrasUniformNoise().draw(random(1), 20_000);
    const first = (scale: "linear" | "log") =>
      ratioNormaliser({ scale })
        .binOf(sigmas)
        .filter((bin) => bin === 0).length / 20_000;
    expect(Math.abs(first("linear") - 0.64)).toBeLessThan(0.015);
    expect(first("log")).toBeLessThan(0.2);
  });

  it("brings a ratio that is off by a factor in a bin back, and its state makes another go on alike", async () => {
    const [one, other] = [
      ratioNormaliser({ scale: "log", bins: 4 }),
      ratioNormaliser({ scale: "log", bins: 4 }),
    ];
    const sigmas = [0.01, 0.01, 50, 50];
    const ratio = tf.tensor1d([2, 4, 0.5, 0.25]);
    for (let i = 0; i < 200; i++) one.normalise(ratio, sigmas).dispose();
    const found = one.normalise(ratio, sigmas).dataSync();
    [2 / 3, 4 / 3, 4 / 3, 2 / 3].forEach((r, i) => {
      expect(found[i]!).toBeCloseTo(r, 4);
    });
    other.load(JSON.parse(JSON.stringify(await one.state())));
    expect(Array.from(other.normalise(ratio, sigmas).dataSync())).toEqual(
      Array.from(one.normalise(ratio, sigmas).dataSync()),
    );
    one.normalise(tf.tensor1d([Number.NaN, 1, 1, 1]), sigmas).dispose();
    expect((await one.state()).means.every(Number.isFinite)).toBe(true);
    expect(() => other.load({ means: [1], counts: [1] })).toThrow(/expected 4 positive means/);
  });
});

it("the best discriminator between Gaussians has the logit log p − log q", () => {
  // p = N(0, 1), q = N(1, 1): the logit is ½ − x; the expected loss is stationary there, and not elsewhere.
  const slopes = (intercept: number, slope: number) => {
    const parameters = new Map([
      ["a", tf.variable(tf.scalar(intercept))],
      ["b", tf.variable(tf.scalar(slope))],
    ]);
    const { gradients } = valueAndGradients(() => {
      const logit = (shift: number) =>
        tf.add(parameters.get("a")!, tf.mul(parameters.get("b")!, tf.add(tf.tensor1d(nodes), shift)));
      const loss = discriminatorLoss({ real: logit(0), generated: logit(1) });
      return tf.sum(tf.mul(loss, tf.tensor1d(nodeWeights))) as tf.Scalar;
    }, parameters);
    return [...gradients.values()].map((x) => x.dataSync()[0]!);
  };
  for (const slope of slopes(0.5, -1)) expect(Math.abs(slope)).toBeLessThan(2e-6);
  expect(Math.abs(slopes(0.5, -0.9)[1]!)).toBeGreaterThan(0.01);
  expect(Math.abs(slopes(0.6, -1)[0]!)).toBeGreaterThan(0.01);
});

describe("admissibility", () => {
  it.each(names)("%s is admitted", (name) => {
    expect(isWeightAdmissible(divergence(name))).toBe(true);
  });
  it("total variation's weight is a delta", () => {
    expect(() => checkWeightAdmissible(totalVariation)).toThrow(InadmissibleWeightError);
    expect(() => checkWeightAdmissible(totalVariation)).toThrow(/total-variation .*jumps.*delta/);
    const zero = tf.zeros([1, 1]);
    expect(() =>
      distributionMatching(
        {
          generated: zero,
          teacherDenoised: zero,
          fakeDenoised: zero,
          sigmas: [1],
          logRatio: tf.tensor1d([0]),
        },
        { divergence: totalVariation },
      ),
    ).toThrow(InadmissibleWeightError);
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
