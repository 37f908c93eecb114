import { defineKernel } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Formula } from "./arithmetic.ts";
import { largestExponent, onNumbers, safeInterval } from "./continuation.ts";
import type { Divergence, DivergenceDefinition, Interval, OfLogRatio } from "./divergence.ts";
import { slopeOf } from "./jet-arithmetic.ts";
import { limitAt, weightLimit } from "./limits.ts";
import { numbers } from "./number-arithmetic.ts";
import { register } from "./registry.ts";
import { tensors } from "./tensor-arithmetic.ts";

type Kernel = (inputs: { l: tf.Tensor }, attributes: object) => tf.Tensor[];

let kernels = 0;

/** An elementwise kernel with an analytic gradient, under a name of its own: two divergences may share theirs. */
function elementwise(
  label: string,
  f: (l: tf.Tensor) => tf.Tensor,
  slope: (l: tf.Tensor) => tf.Tensor,
): Kernel {
  return defineKernel<{ l: tf.Tensor }, object>({
    name: `FdivDivergence${kernels++}:${label}`,
    generic: ({ l }) => f(l),
    gradient: {
      inputs: ["l"],
      outputs: [false],
      run: ([dy], [l]) => ({ l: () => tf.mul(dy!, slope(l!)) }),
    },
  });
}

const clamp = (l: tf.Tensor, [low, high]: Interval): tf.Tensor => {
  const raised = Number.isFinite(low) ? tf.maximum(l, low) : l;
  return Number.isFinite(high) ? tf.minimum(raised, high) : raised;
};

const isInside = ([low, high]: Interval, l: number): boolean => l >= low && l <= high;

/** Most divergences that are defined are never used on tensors, and a kernel stays registered for good. */
function onFirstUse<T>(make: () => T): () => T {
  let made: { it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

/** f′(0) = s(−∞): −∞ wherever f(0) is infinite, since f falls from there to f(1) = 0. */
function scoreAtZero({ name, score, weight, scoreAtZero, valueAtZero }: DivergenceDefinition): number {
  if (scoreAtZero !== undefined) return scoreAtZero;
  if (valueAtZero === Number.POSITIVE_INFINITY) return Number.NEGATIVE_INFINITY;
  return limitAt(score, weight, -1, `${name}: the score`);
}

/** g inside the interval, its tangent at the border outside, the limits at ±∞; on numbers. */
function continuedNumber(
  g: Formula,
  slope: Formula,
  safe: Interval,
  limits: Interval,
): (l: number) => number {
  return (l) => {
    if (l === Number.NEGATIVE_INFINITY) return limits[0];
    if (l === Number.POSITIVE_INFINITY) return limits[1];
    if (isInside(safe, l)) return g(l, numbers);
    const border = Math.min(Math.max(l, safe[0]), safe[1]);
    return Number.isNaN(l) ? l : g(border, numbers) + slope(border, numbers) * (l - border);
  };
}

/** The same on tensors. */
function continuedTensor(
  g: Formula,
  slope: Formula,
  safe: Interval,
  limits: Interval,
): (l: tf.Tensor) => tf.Tensor {
  return (l) => {
    const infinite = tf.isInf(l);
    const finite = tf.where(infinite, tf.zerosLike(l), l);
    const border = clamp(finite, safe);
    const inside = g(border, tensors);
    const everywhereSafe = !Number.isFinite(safe[0]) && !Number.isFinite(safe[1]);
    const y = everywhereSafe
      ? inside
      : tf.add(inside, tf.mul(slope(border, tensors), tf.sub(finite, border)));
    const limit = tf.where(tf.less(l, 0), tf.fill(l.shape, limits[0]), tf.fill(l.shape, limits[1]));
    return tf.where(infinite, limit, y);
  };
}

function dispatch(onNumber: (l: number) => number, onTensor: (l: tf.Tensor) => tf.Tensor): OfLogRatio {
  return ((l: number | tf.Tensor) => (typeof l === "number" ? onNumber(l) : onTensor(l))) as OfLogRatio;
}

/**
 * Defines a divergence from its three functions of the log-ratio, or from its generator alone (`generator`), and makes its name
 * known to `divergence(name)`.
 *
 * @throws when the name is taken by another one
 */
export function defineDivergence(
  definition: DivergenceDefinition,
  options: { register?: boolean } = {},
): Divergence {
  const { name, value, score, weight } = definition;
  // eˡ·s(l) by exact differentiation of φ: the product itself would be 0·∞ far below 0.
  const valueSlope = slopeOf(value);
  const weightSlope = slopeOf(weight);
  const safe = {
    score: (exponent: number) => safeInterval(onNumbers(weight), exponent),
    value: (exponent: number): Interval => {
      const [low, high] = safeInterval(onNumbers(valueSlope), exponent);
      return [definition.overflowsBelow ? Math.max(low, -exponent) : low, high];
    },
  };
  const scoreLimits: Interval = [scoreAtZero(definition), definition.slopeAtInfinity];
  const valueLimits: Interval = [definition.valueAtZero, Number.POSITIVE_INFINITY];
  const weightLimits: Interval = [weightLimit(weight, -1), weightLimit(weight, 1)];

  const wide = safe.score(largestExponent.number);
  const narrow = safe.score(largestExponent.tensor);
  const narrowValue = safe.value(largestExponent.tensor);
  const flat: Formula = (l, m) => m.constant(l, 0);
  const weightTensor = continuedTensor(weight, flat, narrow, weightLimits);
  const outside = (l: tf.Tensor, f: (border: tf.Tensor) => tf.Tensor): tf.Tensor =>
    tf.where(tf.equal(clamp(l, narrow), l), f(clamp(l, narrow)), tf.zerosLike(l));

  const scoreKernel = onFirstUse(() =>
    elementwise(`${name}:score`, continuedTensor(score, weight, narrow, scoreLimits), weightTensor),
  );
  const weightKernel = onFirstUse(() =>
    elementwise(`${name}:weight`, weightTensor, (l) => outside(l, (border) => weightSlope(border, tensors))),
  );
  const valueKernel = onFirstUse(() =>
    elementwise(`${name}:value`, continuedTensor(value, valueSlope, narrowValue, valueLimits), (l) =>
      valueSlope(clamp(l, narrowValue), tensors),
    ),
  );
  const dual = onFirstUse(() => definition.dual?.() ?? composedDual(divergence));

  const divergence: Divergence = {
    name,
    definition,
    value: dispatch(
      continuedNumber(value, valueSlope, safe.value(largestExponent.number), valueLimits),
      (l) => valueKernel()({ l }, {})[0]!,
    ),
    score: dispatch(continuedNumber(score, weight, wide, scoreLimits), (l) => scoreKernel()({ l }, {})[0]!),
    weight: dispatch(continuedNumber(weight, flat, wide, weightLimits), (l) => weightKernel()({ l }, {})[0]!),
    saturated: dispatch(
      (l) => (isInside(wide, l) ? 0 : 1),
      (l) => tf.tidy(() => tf.cast(tf.notEqual(clamp(l, narrow), l), "float32")),
    ),
    scoreLimits,
    massLimits: [definition.valueAtZero, definition.slopeAtInfinity],
    curvature: weight(0, numbers),
    inverseScore: (y) => inverseScore(definition, scoreLimits, y),
    dual,
  };
  if (options.register !== false) register(divergence);
  return divergence;
}

/** s⁻¹ by its closed form, else by bisection: the score never falls. */
function inverseScore(
  { name, score, inverseScore }: DivergenceDefinition,
  limits: Interval,
  y: number,
): number {
  if (!(y >= limits[0] && y <= limits[1]))
    throw new RangeError(
      `${name}: no log-ratio has the score ${y}; scores lie in (${limits[0]}, ${limits[1]}).`,
    );
  if (y === limits[0]) return Number.NEGATIVE_INFINITY;
  if (y === limits[1]) return Number.POSITIVE_INFINITY;
  if (inverseScore) return inverseScore(y);
  let low = -1;
  let high = 1;
  while (score(low, numbers) > y && low > -1e4) low *= 2;
  while (score(high, numbers) < y && high < 1e4) high *= 2;
  for (let i = 0; i < 200 && low < high; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (score(middle, numbers) < y) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** f°(u) = u·f(1/u): φ°(l) = eˡφ(−l), s°(l) = φ(−l) − e⁻ˡs(−l), h°(l) = e⁻ˡh(−l). */
function composedDual(divergence: Divergence): Divergence {
  const { name, value, score, weight, valueAtZero, slopeAtInfinity } = divergence.definition;
  return defineDivergence(
    {
      name: `dual:${name}`,
      value: (l, m) => m.multiply(m.exp(l), value(m.scale(l, -1), m)),
      score: (l, m) => {
        const back = m.scale(l, -1);
        return m.subtract(value(back, m), m.multiply(m.exp(back), score(back, m)));
      },
      weight: (l, m) => m.multiply(m.exp(m.scale(l, -1)), weight(m.scale(l, -1), m)),
      valueAtZero: slopeAtInfinity,
      slopeAtInfinity: valueAtZero,
      overflowsBelow: true,
      dual: () => divergence,
    },
    { register: false },
  );
}
