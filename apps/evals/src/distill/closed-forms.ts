import { discriminatorLoss, gaussian } from "@fdiv/distill";
import { type Divergence, divergence } from "@fdiv/divergences";
import { featureSet, frechetDistance } from "@fdiv/metrics";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { exactRatio, matchKnown } from "./known-sides.ts";

/** A quantity with a closed form, and what the library computes for it. */
export interface ClosedForm {
  name: string;
  exact: number;
  found: number;
}

/** A generator G(z) = mean + deviation·z against the teacher N(0, 1), both with noise of level σ. */
interface Setting {
  mean: number;
  deviation: number;
  sigma: number;
}

const settings: readonly Setting[] = [
  { mean: 0.5, deviation: 0.8, sigma: 0.7 },
  { mean: 1, deviation: 1, sigma: 0.1 },
  { mean: 2, deviation: 1.2, sigma: 2 },
];

/** The trapezoid rule over a standard normal, exact to rounding for analytic functions. */
const nodes = Float32Array.from({ length: 241 }, (_, i) => (i - 120) / 14);
const nodeWeights = nodes.map((u) => Math.exp(-(u ** 2) / 2) / Math.sqrt(2 * Math.PI) / 14);
/** All pairs of nodes: z, the noise, and the pair's weight. */
const pairs = {
  z: Float32Array.from({ length: nodes.length ** 2 }, (_, i) => nodes[Math.floor(i / nodes.length)]!),
  noise: Float32Array.from({ length: nodes.length ** 2 }, (_, i) => nodes[i % nodes.length]!),
  weight: Float32Array.from(
    { length: nodes.length ** 2 },
    (_, i) => nodeWeights[Math.floor(i / nodes.length)]! * nodeWeights[i % nodes.length]!,
  ),
};

/**
 * The gradient of the distillation loss on the generator's two parameters, fake scores and ratio exact, by quadrature over z and the noise,
 * and the weights' variance Var(h)/E(h)².
 */
function gradientsOf(d: Divergence, { mean, deviation, sigma }: Setting) {
  const parameters = new Map([
    ["mean", tf.variable(tf.scalar(mean))],
    ["deviation", tf.variable(tf.scalar(deviation))],
  ]);
  const sides = { teacher: gaussian([0], 1), student: gaussian([mean], deviation ** 2) };
  const shape: [number, number] = [pairs.z.length, 1];
  let weightVariance = 0;
  // The gradient is read on the way back.
  const kept: tf.Tensor[] = [];
  const { value, gradients } = valueAndGradients(() => {
    const generated = tf.add(
      parameters.get("mean")!,
      tf.mul(parameters.get("deviation")!, tf.tensor2d(pairs.z, shape)),
    );
    const noise = tf.tensor2d(pairs.noise, shape);
    const { loss, gradient, weights, metrics } = matchKnown(
      sides,
      { generated, noise, sigma },
      d,
      exactRatio(sides),
    );
    const h = weights.dataSync<"float32">();
    const moment = (power: number) => h.reduce((sum, w, i) => sum + pairs.weight[i]! * w ** power, 0);
    weightVariance = moment(2) / moment(1) ** 2 - 1;
    kept.push(gradient, weights, ...Object.values(metrics));
    return tf.sum(tf.mul(loss, tf.tensor1d(pairs.weight))) as tf.Scalar;
  }, parameters);
  const found = ["mean", "deviation"].map((name) => gradients.get(name)!.dataSync()[0]!);
  tf.dispose([value, ...gradients.values(), ...parameters.values(), ...kept]);
  return { mean: found[0]!, deviation: found[1]!, weightVariance };
}

/**
 * Slopes of D_α(N(m, v)‖N(0, w)) = (I − 1)/(α(α − 1)), I = ∫ p^α q^{1−α} = w^{(1−α)/2} v^{α/2} v*^{−1/2} e^{−α(1−α)m²/2v*}, v* = αv + (1 − α)w,
 * by m and by v, with p the teacher; the Kullback–Leibler divergences are the limits at 0 and 1.
 */
function alphaSlopes(a: number, m: number, v: number, w: number): { mean: number; variance: number } {
  const mixed = a * v + (1 - a) * w;
  const integral =
    (w ** ((1 - a) / 2) * v ** (a / 2) * Math.exp((-a * (1 - a) * m ** 2) / (2 * mixed))) / Math.sqrt(mixed);
  const byVariance = (1 / v - 1 / mixed + (a * (1 - a) * m ** 2) / mixed ** 2) / 2;
  return { mean: (integral * m) / mixed, variance: (integral * byVariance) / (a - 1) };
}

/** The same of reverse KL ½(v/w + m²/w − 1 − ln(v/w)) and forward KL ½(w/v + m²/v − 1 + ln(v/w)). */
const klSlopes = {
  "reverse-kl": (m: number, v: number, w: number) => ({ mean: m / w, variance: (1 / w - 1 / v) / 2 }),
  "forward-kl": (m: number, v: number, w: number) => ({
    mean: m / v,
    variance: (1 / v - (w + m ** 2) / v ** 2) / 2,
  }),
};

const families: Record<string, (m: number, v: number, w: number) => { mean: number; variance: number }> = {
  ...klSlopes,
  "alpha:0.3": (...at) => alphaSlopes(0.3, ...at),
  "alpha:0.5": (...at) => alphaSlopes(0.5, ...at),
};

const teacherGradients = (): ClosedForm[] =>
  Object.entries(families).flatMap(([name, slopes]) =>
    settings.flatMap((setting) => {
      const { mean, deviation, sigma } = setting;
      const noise = sigma ** 2;
      const exact = slopes(mean, deviation ** 2 + noise, 1 + noise);
      const found = gradientsOf(divergence(name), setting);
      const at = `at N(${mean}, ${deviation}²), σ = ${sigma}`;
      return [
        { name: `${name}, ∂D/∂mean ${at}`, exact: exact.mean, found: found.mean },
        {
          name: `${name}, ∂D/∂deviation ${at}`,
          exact: 2 * deviation * exact.variance,
          found: found.deviation,
        },
      ];
    }),
  );

/** Of two Gaussians some deviations apart, noise counted in: Jensen–Shannon's slope, and the weights' variances. */
function ofDistance(): ClosedForm[] {
  const sigma = 0.2;
  const at = (distance: number): Setting => ({
    mean: distance * Math.sqrt(1 + sigma ** 2),
    deviation: 1,
    sigma,
  });
  const js = gradientsOf(divergence("jensen-shannon"), at(1));
  const variance = (name: string, distance: number) =>
    gradientsOf(divergence(name), at(distance)).weightVariance;
  return [
    {
      name: "jensen-shannon, ∂D/∂mean at μ = 1",
      exact: 0.397973,
      found: js.mean * Math.sqrt(1 + sigma ** 2),
    },
    {
      name: "forward-kl, Var(h)/E(h)² at μ = 1: e^{μ²} − 1",
      exact: Math.expm1(1),
      found: variance("forward-kl", 1),
    },
    {
      name: "forward-kl, Var(h)/E(h)² at μ = 2",
      exact: Math.expm1(4),
      found: variance("forward-kl", 2),
    },
    {
      name: "squared-hellinger, Var(h)/E(h)² at μ = 1: e^{μ²/4} − 1",
      exact: Math.expm1(0.25),
      found: variance("squared-hellinger", 1),
    },
    {
      name: "squared-hellinger, Var(h)/E(h)² at μ = 2",
      exact: Math.expm1(1),
      found: variance("squared-hellinger", 2),
    },
    {
      name: "jensen-shannon, Var(h)/E(h)² at μ = 1, known to three digits",
      exact: 0.256,
      found: js.weightVariance,
    },
    {
      name: "jensen-shannon, Var(h)/E(h)² at μ = 2, known to four digits",
      exact: 1.224,
      found: variance("jensen-shannon", 2),
    },
  ];
}

/** The discriminator's loss between N(0, 1) and N(1, 1), stationary at the logit log p − log q = ½ − x. */
function bestDiscriminator(): ClosedForm[] {
  const parameters = new Map([
    ["intercept", tf.variable(tf.scalar(0.5))],
    ["slope", tf.variable(tf.scalar(-1))],
  ]);
  const { value, gradients } = valueAndGradients(() => {
    const logit = (shift: number) =>
      tf.add(
        parameters.get("intercept")!,
        tf.mul(parameters.get("slope")!, tf.add(tf.tensor1d(nodes), shift)),
      );
    const loss = discriminatorLoss({ real: logit(0), generated: logit(1) });
    return tf.sum(tf.mul(loss, tf.tensor1d(nodeWeights))) as tf.Scalar;
  }, parameters);
  const found = [...gradients].map(([name, gradient]) => ({
    name: `discriminator's loss, ∂/∂${name} at the logit ½ − x`,
    exact: 0,
    found: gradient.dataSync()[0]!,
  }));
  tf.dispose([value, ...gradients.values(), ...parameters.values()]);
  return found;
}

function denoiserAndDistance(): ClosedForm[] {
  const [mean, variance, sigma, x] = [0.7, 2.3, 1.4, -1.9];
  const found = tf.tidy(
    () =>
      gaussian([mean], variance)
        .denoise(tf.tensor2d([[x]]), tf.tensor1d([sigma]))
        .dataSync()[0]!,
  );
  // Four points with the mean and the unbiased covariance of each Gaussian.
  const reach = Math.sqrt(3 / 2);
  const points = ([x0, y0]: readonly [number, number], [across, up]: readonly [number, number]) =>
    featureSet([
      [x0 + reach * across, y0],
      [x0 - reach * across, y0],
      [x0, y0 + reach * up],
      [x0, y0 - reach * up],
    ]);
  return [
    {
      name: "D(x; σ) of one Gaussian, (σ²m + v·x)/(v + σ²)",
      exact: (sigma ** 2 * mean + variance * x) / (variance + sigma ** 2),
      found,
    },
    {
      name: "Fréchet distance of N(0, I₂) and N((1, 2), diag(4, 9))",
      exact: 10,
      found: frechetDistance(points([0, 0], [1, 1]), points([1, 2], [2, 3])).value,
    },
  ];
}

/** The quantities of f-distill that are known in closed form, on the backend that has been started. */
export const closedForms = (): ClosedForm[] => [
  ...teacherGradients(),
  ...ofDistance(),
  ...bestDiscriminator(),
  ...denoiserAndDistance(),
];
