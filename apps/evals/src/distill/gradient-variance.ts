import {
  discriminatorLoss,
  type GaussianMixture,
  gaussianMixture,
  type MixtureComponent,
} from "@fdiv/distill";
import { divergence } from "@fdiv/divergences";
import { adamW, linear, type Random, random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { exactRatio, matchKnown, type Ratio, type Sides } from "./known-sides.ts";

const batch = 256;
const repeats = 200;
const discriminatorSteps = 1500;

/** A student that is its teacher moved: G(z) = z + shift with z ~ teacher, so that its scores and ratio are known. */
export interface ShiftedProblem {
  label: string;
  teacher: readonly MixtureComponent[];
  shift: readonly number[];
  /** The noise level of the gradient. */
  sigma: number;
}

const ring = Array.from({ length: 8 }, (_, k) => ({
  mean: [Math.cos((Math.PI * k) / 4), Math.sin((Math.PI * k) / 4)],
  covariance: 0.01,
}));
const threeModes = [
  { weight: 0.2, mean: [-2], covariance: 0.04 },
  { weight: 0.5, mean: [0], covariance: 0.04 },
  { weight: 0.3, mean: [2], covariance: 0.04 },
];

/** N(0, 1) from one and two deviations away, and the mixtures of the tables above it from one deviation of a mode. */
export const shiftedProblems: readonly ShiftedProblem[] = [
  { label: "N(0, 1), μ = 1", teacher: [{ mean: [0], covariance: 1 }], shift: [1], sigma: 0.1 },
  { label: "N(0, 1), μ = 2", teacher: [{ mean: [0], covariance: 1 }], shift: [2], sigma: 0.1 },
  { label: "three modes", teacher: threeModes, shift: [0.2], sigma: 0.1 },
  { label: "ring", teacher: ring, shift: [0.06, 0.08], sigma: 0.05 },
];

function sidesOf({ teacher, shift }: ShiftedProblem): Sides {
  return {
    teacher: gaussianMixture(teacher),
    student: gaussianMixture(teacher.map((one) => ({ ...one, mean: one.mean.map((x, i) => x + shift[i]!) }))),
  };
}

/** Draws of a mixture with noise of level σ, [batch, d]. */
function noisedDraws(of: GaussianMixture, sigma: number, stream: Random): tf.Tensor2D {
  const drawn = of.sample(stream.fork("x"), batch).values;
  const noise = stream.fork("noise").normal(drawn.length);
  return tf.tensor2d(
    drawn.map((x, i) => x + sigma * noise[i]!),
    [batch, of.dimensions],
  );
}

/** A discriminator of two hidden layers, trained between noised draws of both sides at the gradient's noise level. */
export function learnedRatio(problem: ShiftedProblem): { ratio: Ratio; dispose(): void } {
  const { teacher, student } = sidesOf(problem);
  const source = random(`discriminator of ${problem.label}`);
  const widths = [problem.shift.length + 1, 33, 33];
  const parameters = new Map(
    [32, 32, 1].map((rows, i) => {
      const columns = widths[i]!;
      const values = source
        .fork(i)
        .normal(rows * columns)
        .map((x) => x / Math.sqrt(columns));
      return [`layer ${i}`, tf.variable(tf.tensor2d(values, [rows, columns]))];
    }),
  );
  const logits = (x: tf.Tensor): tf.Tensor =>
    [...parameters.values()].reduce(
      (input: tf.Tensor, weight, i) =>
        linear(
          tf.concat([input, tf.ones([batch, 1])], 1),
          weight,
          i < parameters.size - 1 ? { activation: "silu" } : {},
        ),
      x,
    );
  const optimizer = adamW({ learningRate: 5e-3 });
  for (let step = 0; step < discriminatorSteps; step++)
    tf.tidy(() => {
      const draw = (of: GaussianMixture, side: string) =>
        noisedDraws(of, problem.sigma, source.fork(step).fork(side));
      const [real, generated] = [draw(teacher, "teacher"), draw(student, "student")];
      const { gradients } = valueAndGradients(
        () => tf.mean(discriminatorLoss({ real: logits(real), generated: logits(generated) })) as tf.Scalar,
        parameters,
      );
      optimizer.step(parameters, gradients, { learningRate: 5e-3 * (1 - step / discriminatorSteps) });
    });
  optimizer.dispose();
  return {
    ratio: (noised) => ({ logits: logits(noised) }),
    dispose: () => tf.dispose([...parameters.values()]),
  };
}

/**
 * Deviation of a batch's gradient over its mean, with exact scores: the noise that a divergence's weight brings in.
 *
 * @param ratio of densities, where none is given
 * @returns √(tr Cov(∂L/∂shift))/‖E ∂L/∂shift‖ with a batch of 256
 */
export function relativeGradientDeviation(
  name: string,
  problem: ShiftedProblem,
  ratio: Ratio = exactRatio(sidesOf(problem)),
): number {
  const sides = sidesOf(problem);
  const { shift, sigma } = problem;
  const d = shift.length;
  // The same draws for every divergence, so that what differs between two is their weights.
  const source = random(`gradient of ${problem.label}`);
  const parameter = tf.variable(tf.tensor1d([...shift]));
  const found: Float32Array[] = [];
  for (let i = 0; i < repeats; i++) {
    const kept: tf.Tensor[] = [];
    const stream = source.fork(i);
    const { value, gradients } = valueAndGradients(
      () => {
        const generated = tf.add(
          parameter,
          tf.tensor2d(sides.teacher.sample(stream.fork("z"), batch).values, [batch, d]),
        );
        const noise = tf.tensor2d(stream.fork("noise").normal(batch * d), [batch, d]);
        const { loss, metrics, gradient, weights } = matchKnown(
          sides,
          { generated, noise, sigma },
          divergence(name),
          ratio,
        );
        kept.push(gradient, weights, ...Object.values(metrics));
        return tf.mean(loss) as tf.Scalar;
      },
      new Map([["shift", parameter]]),
    );
    found.push(gradients.get("shift")!.dataSync() as Float32Array);
    tf.dispose([value, ...gradients.values(), ...kept]);
  }
  parameter.dispose();
  const average = shift.map((_, k) => found.reduce((sum, g) => sum + g[k]!, 0) / repeats);
  const squares = found.reduce(
    (sum, g) => sum + average.reduce((within, mean, k) => within + (g[k]! - mean) ** 2, 0),
    0,
  );
  return Math.sqrt(squares / (repeats - 1)) / Math.hypot(...average);
}

/** A Markdown table over divergences: each problem with the ratio of densities and with a learned one. */
export function gradientVarianceTable(divergences: readonly string[]): string {
  const columns = shiftedProblems.flatMap((problem) => {
    const learned = learnedRatio(problem);
    const cells = [
      divergences.map((name) => relativeGradientDeviation(name, problem)),
      divergences.map((name) => relativeGradientDeviation(name, problem, learned.ratio)),
    ];
    learned.dispose();
    return [
      { head: problem.label, cells: cells[0]! },
      { head: `${problem.label}, learned`, cells: cells[1]! },
    ];
  });
  return [
    `| deviation of a batch's gradient over its mean, batch ${batch} | ${columns.map(({ head }) => head).join(" | ")} |`,
    `|${"---|".repeat(columns.length + 1)}`,
    ...divergences.map(
      (name, i) => `| ${name} | ${columns.map(({ cells }) => cells[i]!.toPrecision(3)).join(" | ")} |`,
    ),
  ].join("\n");
}
