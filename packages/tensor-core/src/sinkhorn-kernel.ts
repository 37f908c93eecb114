import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { logSumExp } from "./numerics.ts";

/** Entropic transport problems: cost C [B, n, m], masses a [B, n] and b [B, m], potentials to start from. */
export interface TransportInputs {
  [name: string]: tf.Tensor;
  cost: tf.Tensor;
  a: tf.Tensor;
  b: tf.Tensor;
  fStart: tf.Tensor;
  gStart: tf.Tensor;
}

export interface SinkhornAttributes {
  /** λ, the weight of the entropy, in the cost's unit. */
  lambda: number;
  /** Most iterations; one is a half-step of the rows and one of the columns. */
  iterations: number;
  /** A problem ends when one more half-step of its rows would move less mass than this; 0 does every iteration. */
  tolerance: number;
  /** How many iterations lie between two looks at the tolerance. */
  checkEvery: number;
  /** ρ/(ρ + λ) of marginals that are held by ρ·KL; 1 for marginals that hold. */
  rowDamping: number;
  columnDamping: number;
  /** ω: 1 is Sinkhorn's own iteration, above it over-relaxation. */
  relaxation: number;
  /** Whether the potentials after each iteration are given out too, [B, T, n] and [B, T, m]. */
  keepHistory: boolean;
}

const column = (x: tf.Tensor): tf.Tensor => tf.expandDims(x, 2);
const row = (x: tf.Tensor): tf.Tensor => tf.expandDims(x, 1);
const fill = (x: tf.Tensor, value: number): tf.Tensor => tf.fill(x.shape, value);

/** What takes part: a point without mass has potential −∞. */
function onMass(x: tf.Tensor, mass: tf.Tensor, otherwise = Number.NEGATIVE_INFINITY): tf.Tensor {
  return tf.where(tf.greater(mass, 0), x, fill(x, otherwise));
}

/** λ·LSE over one axis of (potential − C)/λ. */
function softMaximum(cost: tf.Tensor, potential: tf.Tensor, lambda: number, axis: 1 | 2): tf.Tensor {
  const spread = axis === 2 ? row(potential) : column(potential);
  return tf.mul(lambda, logSumExp(tf.div(tf.sub(spread, cost), lambda), axis));
}

const relax = (old: tf.Tensor, half: tf.Tensor, relaxation: number, damping: number): tf.Tensor =>
  relaxation === 1
    ? tf.mul(damping, half)
    : tf.add(tf.mul(1 - relaxation, old), tf.mul(relaxation * damping, half));

/** exp((f ⊕ g − C)/λ). */
export function planOf(cost: tf.Tensor, f: tf.Tensor, g: tf.Tensor, lambda: number): tf.Tensor {
  return tf.exp(tf.div(tf.sub(tf.add(column(f), row(g)), cost), lambda));
}

/** Mass [B] that one more half-step of the rows would move. */
function movement(
  { cost, a }: TransportInputs,
  f: tf.Tensor,
  g: tf.Tensor,
  { lambda, rowDamping }: SinkhornAttributes,
): tf.Tensor {
  const soft = softMaximum(cost, g, lambda, 2);
  const rows = onMass(tf.exp(tf.div(tf.add(f, soft), lambda)), a, 0);
  if (rowDamping === 1) return tf.sum(tf.abs(tf.sub(a, rows)), 1);
  const half = tf.mul(rowDamping, tf.sub(tf.mul(lambda, tf.log(a)), soft));
  const factor = tf.sub(tf.exp(tf.div(tf.sub(half, f), lambda)), 1);
  return tf.sum(onMass(tf.mul(rows, tf.abs(factor)), a, 0), 1);
}

function iterate(
  { cost, a, b }: TransportInputs,
  f: tf.Tensor,
  g: tf.Tensor,
  { lambda, rowDamping, columnDamping, relaxation }: SinkhornAttributes,
): [tf.Tensor, tf.Tensor] {
  const rows = tf.sub(tf.mul(lambda, tf.log(a)), softMaximum(cost, g, lambda, 2));
  const nextF = onMass(relax(f, rows, relaxation, rowDamping), a);
  const columns = tf.sub(tf.mul(lambda, tf.log(b)), softMaximum(cost, nextF, lambda, 1));
  return [nextF, onMass(relax(g, columns, relaxation, columnDamping), b)];
}

/** Which problems are not done yet, [B, 1] of 0 and 1. */
function stillMoving(
  inputs: TransportInputs,
  f: tf.Tensor,
  g: tf.Tensor,
  active: tf.Tensor,
  attributes: SinkhornAttributes,
): tf.Tensor {
  const moved = tf.expandDims(movement(inputs, f, g, attributes), 1);
  // Not `greater`, so that NaN goes on to the end as in every other implementation.
  return tf.mul(active, tf.cast(tf.logicalNot(tf.lessEqual(moved, attributes.tolerance)), "float32"));
}

/**
 * FdivSinkhorn: potentials f [B, n] and g [B, m], the iterations done int32 [B], the plan P = exp((f ⊕ g − C)/λ) [B, n, m], its sums over
 * rows [B, n] and columns [B, m], ⟨P, C⟩ [B], and with keepHistory the potentials after each iteration (those after a problem's end mean
 * nothing).
 *
 * Each problem is solved as if it were alone. Iterations start with the rows; a start of −∞, or no mass, leaves a point out.
 */
export const sinkhornKernel = defineKernel<TransportInputs, SinkhornAttributes>({
  name: "FdivSinkhorn",
  generic: (inputs, attributes) => {
    const { cost, a, b } = inputs;
    const { iterations, tolerance, checkEvery, lambda, keepHistory } = attributes;
    const history: [tf.Tensor, tf.Tensor][] = [];
    let f = onMass(inputs.fStart, a);
    let g = onMass(inputs.gStart, b);
    let active: tf.Tensor = tf.ones([cost.shape[0]!, 1]);
    let steps: tf.Tensor = tf.zeros([cost.shape[0]!, 1]);
    for (let step = 0; step < iterations; step++) {
      const isCheck = tolerance > 0 && step > 0 && step % checkEvery === 0;
      const before = [f, g, active, steps];
      [f, g, active, steps] = tf.tidy(() => {
        const going = isCheck ? stillMoving(inputs, f, g, active, attributes) : tf.clone(active);
        const [nextF, nextG] = iterate(inputs, f, g, attributes);
        const keeps = tf.equal(going, 0);
        return [
          tf.where(tf.tile(keeps, [1, f.shape[1]!]), f, nextF),
          tf.where(tf.tile(keeps, [1, g.shape[1]!]), g, nextG),
          going,
          tf.add(steps, going),
        ];
      }) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      if (keepHistory) history.push([f, g]);
      else tf.dispose(before.slice(0, 2));
      tf.dispose(before.slice(2));
      if (isCheck && tf.tidy(() => tf.sum(active)).dataSync()[0] === 0) break;
    }
    const plan = planOf(cost, f, g, lambda);
    const sums = [tf.sum(plan, 2), tf.sum(plan, 1), tf.sum(tf.mul(plan, cost), [1, 2])];
    const outputs = [tf.clone(f), tf.clone(g), tf.cast(tf.squeeze(steps, [1]), "int32"), plan, ...sums];
    if (!keepHistory) return outputs;
    while (history.length < iterations) history.push([f, g]);
    return [
      ...outputs,
      ...[0, 1].map((side) =>
        tf.stack(
          history.map((pair) => pair[side]!),
          1,
        ),
      ),
    ];
  },
});
