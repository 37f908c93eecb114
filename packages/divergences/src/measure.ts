import { segmentSum } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Divergence } from "./divergence.ts";

/**
 * D_f(M‖T) over an enumerable support, exactly: Σ T·f(M/T), with f(0) where the model has no mass and lim f(u)/u where the
 * target has none.
 *
 * @param modelLogProbs log M of each outcome, −∞ where it has no mass
 * @param targetLogProbs log T likewise
 * @throws RangeError when lengths differ or a side does not sum to 1 within 10⁻⁶
 */
export function exactDivergence(
  divergence: Divergence,
  modelLogProbs: ArrayLike<number>,
  targetLogProbs: ArrayLike<number>,
): number {
  if (modelLogProbs.length !== targetLogProbs.length)
    throw new RangeError(`exactDivergence: ${modelLogProbs.length} and ${targetLogProbs.length} outcomes.`);
  for (const [side, logProbs] of [
    ["model", modelLogProbs],
    ["target", targetLogProbs],
  ] as const) {
    const mass = Array.from(logProbs).reduce((sum, logProb) => sum + Math.exp(logProb), 0);
    if (!(Math.abs(mass - 1) < 1e-6))
      throw new RangeError(`exactDivergence: the ${side} sums to ${mass}, not to 1.`);
  }
  let sum = 0;
  for (let i = 0; i < modelLogProbs.length; i++) {
    const model = modelLogProbs[i]!;
    const target = targetLogProbs[i]!;
    if (model === target) continue;
    // T·φ(l) = M·φ°(−l): written from the side that has more mass, neither overflows.
    sum +=
      model < target
        ? priced(target, divergence.value(model - target))
        : priced(model, divergence.dual().value(target - model));
  }
  return sum;
}

/** An infinite price stays infinite, however little mass pays it. */
const priced = (logMass: number, price: number): number =>
  price === Number.POSITIVE_INFINITY ? price : Math.exp(logMass) * price;

/**
 * D_f of each token's distribution over the vocabulary, Σ_v T(v)·φ(log M(v) − log T(v)), differentiable on either side.
 *
 * Terms with M > T are taken as M(v)·φ°(log T − log M), which neither overflows nor loses what the target all but lacks. Logits of
 * −∞ (masked vocabularies) count nothing where both sides have them, and f(0) or lim f(u)/u of the other side's mass where one has.
 *
 * @param modelLogProbs [tokens, vocabulary]
 * @param targetLogProbs [tokens, vocabulary]
 * @param options.mask [tokens], 0 for tokens that count 0
 * @returns [tokens], in nats
 */
export function tokenDivergence(
  divergence: Divergence,
  modelLogProbs: tf.Tensor2D,
  targetLogProbs: tf.Tensor2D,
  options: { mask?: tf.Tensor1D } = {},
): tf.Tensor1D {
  tf.util.assertShapesMatch(modelLogProbs.shape, targetLogProbs.shape, "tokenDivergence: ");
  const { mask } = options;
  if (mask) tf.util.assertShapesMatch(mask.shape, [modelLogProbs.shape[0]], "tokenDivergence's mask: ");
  return tf.tidy(() => {
    const difference = tf.sub(modelLogProbs, targetLogProbs);
    const l = tf.where(untaped(tf.isFinite, difference), difference, tf.zerosLike(difference));
    const model = tf.exp(modelLogProbs);
    const target = tf.exp(targetLogProbs);
    const terms = [
      tf.mul(target, divergence.value(tf.minimum(l, 0))),
      tf.mul(model, divergence.dual().value(tf.neg(tf.maximum(l, 0)))),
      oneSided(target, untaped(hasAlone, targetLogProbs, modelLogProbs), divergence.massLimits[0]),
      oneSided(model, untaped(hasAlone, modelLogProbs, targetLogProbs), divergence.massLimits[1]),
    ];
    const sum = tf.sum(tf.addN(terms), 1) as tf.Tensor1D;
    return mask ? tf.where(tf.notEqual(mask, 0), sum, tf.zerosLike(sum)) : sum;
  });
}

/** Where the first has mass and the second none. */
const hasAlone = (logProbs: tf.Tensor, others: tf.Tensor): tf.Tensor =>
  tf.logicalAnd(tf.isFinite(logProbs), tf.logicalNot(tf.isFinite(others)));

/** A condition that no gradient is looked for through: comparisons have none, and asking for one throws. */
function untaped(condition: (...x: tf.Tensor[]) => tf.Tensor, ...x: tf.Tensor[]): tf.Tensor {
  const zeros = x.map(({ shape }) => shape);
  return tf.customGrad((...inputs) => ({
    value: condition(...(inputs.slice(0, x.length) as tf.Tensor[])),
    gradFunc: () => zeros.map((shape) => tf.zeros(shape)),
  }))(...x);
}

/** What mass costs where the other side has none; an infinite price is a constant, since its product with a gradient is NaN. */
function oneSided(mass: tf.Tensor, where: tf.Tensor, price: number): tf.Tensor {
  if (Number.isFinite(price)) return tf.mul(mass, tf.mul(tf.cast(where, "float32"), price));
  return tf.where(where, tf.fill(mass.shape, price), tf.zerosLike(mass));
}

/**
 * The mean of per-token divergences over the tokens of each sequence.
 *
 * @param perToken [tokens]
 * @param sequences int32 [tokens], which sequence each token belongs to
 */
export function meanOverTokens(perToken: tf.Tensor1D, sequences: tf.Tensor1D, count: number): tf.Tensor1D {
  const tokens = segmentSum(tf.onesLike(perToken), sequences, count);
  return tf.div(segmentSum(perToken, sequences, count), tf.maximum(tokens, 1));
}

export interface Estimate {
  value: number;
  standardError: number;
  samples: number;
  /** (Σw)²/Σw² of the importance weights; the number of samples when none are needed. */
  effectiveSamples: number;
}

/**
 * D_f(M‖T) from log-ratios l = log M − log T of samples, with its standard error.
 *
 * From the target: the mean of φ(l). From the model: the mean of e⁻ˡφ(l), importance weights combined with the value before
 * anything is exponentiated. Both are unbiased and, as φ ≥ 0, never negative.
 *
 * @param from which of the two the samples were drawn from
 * @param clusters what sample i belongs to, such as its prompt: samples of one cluster may then depend on each other, and the
 *   standard error is the cluster-robust one (Liang & Zeger 1986); without it, or with one cluster, samples are independent
 * @throws RangeError without samples or on NaN
 */
export function estimateDivergence(
  divergence: Divergence,
  logRatios: ArrayLike<number>,
  from: "model" | "target",
  { clusters }: { clusters?: ArrayLike<string | number> } = {},
): Estimate {
  const samples = logRatios.length;
  if (clusters && clusters.length !== samples)
    throw new RangeError(`estimateDivergence: ${samples} samples and ${clusters.length} clusters.`);
  const sums = new Map<string | number, { sum: number; count: number }>();
  if (samples === 0) throw new RangeError("estimateDivergence: there are no samples.");
  // e⁻ˡφ(l) is the dual's value at −l: exact, and never an infinity times a zero.
  const dual = from === "model" ? divergence.dual() : undefined;
  let mean = 0;
  let squares = 0;
  let logWeights = { max: Number.NEGATIVE_INFINITY, sum: 0, sumOfSquares: 0 };
  for (let i = 0; i < samples; i++) {
    const l = logRatios[i]!;
    if (Number.isNaN(l)) throw new RangeError(`estimateDivergence: log-ratio ${i} is NaN.`);
    const value = dual ? dual.value(-l) : divergence.value(l);
    const delta = value - mean;
    mean += delta / (i + 1);
    squares += delta * (value - mean);
    if (clusters) {
      const own = sums.get(clusters[i]!) ?? { sum: 0, count: 0 };
      sums.set(clusters[i]!, { sum: own.sum + value, count: own.count + 1 });
    }
    logWeights = addWeight(logWeights, from === "model" ? -l : 0);
  }
  const variance = samples > 1 ? squares / (samples - 1) : Number.NaN;
  let between = 0;
  for (const { sum, count } of sums.values()) between += (sum - count * mean) ** 2;
  return {
    value: mean,
    standardError:
      sums.size > 1
        ? Math.sqrt((between * sums.size) / (sums.size - 1)) / samples
        : Math.sqrt(variance / samples),
    samples,
    effectiveSamples: logWeights.sum ** 2 / logWeights.sumOfSquares,
  };
}

/** Sums of weights and of their squares, relative to the largest so far. */
function addWeight(
  total: { max: number; sum: number; sumOfSquares: number },
  logWeight: number,
): typeof total {
  const max = Math.max(total.max, logWeight);
  if (max === Number.NEGATIVE_INFINITY) return total;
  const old = Math.exp(total.max - max);
  const now = Math.exp(logWeight - max);
  return { max, sum: total.sum * old + now, sumOfSquares: total.sumOfSquares * old * old + now * now };
}
