import { type SinkhornAttributes, sinkhornKernel } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { type Merit, newCourse, nextPoint } from "./anderson-step.ts";
import type { Start } from "./potentials.ts";
import { type Solution, solutionOf } from "./solution.ts";
import type { TransportProblem } from "./transport-problem.ts";

/** A few plain iterations. */
function advance(problem: TransportProblem, gStart: tf.Tensor, attributes: SinkhornAttributes): Solution {
  const fStart = tf.zeros(problem.a.shape);
  const solution = solutionOf(sinkhornKernel({ ...problem, fStart, gStart }, attributes));
  fStart.dispose();
  return solution;
}

const rhoOf = (damping: number, lambda: number): number =>
  damping === 1 ? Number.POSITIVE_INFINITY : (damping * lambda) / (1 - damping);

/**
 * How much mass each problem's rows are from where one more half-step would bring them, and the dual: ⟨a, f⟩ + ⟨b, g⟩ − λΣP, with
 * ρΣa(1 − e^{−f/ρ}) for ⟨a, f⟩ where a marginal is relaxed.
 */
function meritsOf(
  { a, b }: TransportProblem,
  { f, g, rows }: Solution,
  { rowDamping, columnDamping, lambda }: SinkhornAttributes,
): Merit[] {
  const [batch, n] = a.shape;
  const [left, right] = [rhoOf(rowDamping, lambda), rhoOf(columnDamping, lambda)];
  const [sums, masses] = [rows.dataSync<"float32">(), a.dataSync<"float32">()];
  const merits = Array.from({ length: batch }, (): Merit => ({ error: 0, dual: 0, rounding: 0 }));
  const add = (potential: tf.Tensor2D, mass: tf.Tensor2D, rho: number) => {
    const [x, held, points] = [potential.dataSync<"float32">(), mass.dataSync<"float32">(), mass.shape[1]];
    for (let i = 0; i < x.length; i++) {
      if (held[i] === 0) continue;
      const merit = merits[Math.floor(i / points)]!;
      merit.dual += held[i]! * (rho < Number.POSITIVE_INFINITY ? -rho * Math.expm1(-x[i]! / rho) : x[i]!);
      merit.rounding += 2 ** -23 * held[i]! * Math.abs(x[i]!);
    }
    return x;
  };
  const shown = add(f, a, left);
  add(g, b, right);
  for (let i = 0; i < sums.length; i++) {
    const merit = merits[Math.floor(i / n)]!;
    const wanted =
      left < Number.POSITIVE_INFINITY && masses[i] ? masses[i]! * Math.exp(-shown[i]! / left) : masses[i]!;
    merit.error += Math.abs(sums[i]! - wanted);
    merit.dual -= lambda * sums[i]!;
  }
  return merits;
}

/** The potentials of the points that take part, 0 elsewhere; with their mean at 0 when a constant means nothing. */
function liveValues(values: Float32Array, live: Float32Array, isFree: boolean): Float64Array {
  const count = live.reduce((sum, one) => sum + one, 0);
  const shift = isFree ? values.reduce((sum, x, j) => (live[j] ? sum + x : sum), 0) / Math.max(count, 1) : 0;
  return Float64Array.from(values, (x, j) => (live[j] ? x - shift : 0));
}

/**
 * Sinkhorn with Anderson acceleration of the column potentials (arXiv 2006.08172): `period` iterations are one step of a fixed
 * point, and steps are extrapolated from the last `memory`, safeguarded by plain ones. Each problem goes its own course, and ends with the
 * best plan that it has come by.
 */
export function andersonPotentials(
  problem: TransportProblem,
  start: Start,
  attributes: SinkhornAttributes,
  { memory = 5, period = 5 }: { memory?: number; period?: number },
): Solution {
  const [batch, , m] = problem.cost.shape;
  // A constant moves freely between f and g where both marginals hold; extrapolated, it would grow until the digits are gone.
  const isFree = attributes.rowDamping === 1 && attributes.columnDamping === 1;
  const few = { ...attributes, iterations: period, tolerance: 0 };
  const courses = Array.from({ length: batch }, newCourse);
  const done = new Array<boolean>(batch).fill(false);
  const steps = new Int32Array(batch);
  const least = new Float64Array(batch).fill(Number.POSITIVE_INFINITY);
  let from = Float32Array.from(start.gStart.dataSync());
  let best: Solution | undefined;
  for (let used = 0; used < attributes.iterations; used += period) {
    const gStart = tf.tensor2d(from, [batch, m]);
    const now = advance(problem, gStart, few);
    gStart.dispose();
    const [moved, merits] = [now.g.dataSync<"float32">(), meritsOf(problem, now, attributes)];
    const isBetter = done.map((isDone, i) => !isDone && merits[i]!.error < least[i]!);
    const next = Float32Array.from(from);
    for (let i = 0; i < batch; i++) {
      if (done[i]) continue;
      steps[i]! += period;
      done[i] = merits[i]!.error <= attributes.tolerance;
      if (isBetter[i]) least[i] = merits[i]!.error;
      const live = moved.subarray(i * m, (i + 1) * m).map((x) => Number(Number.isFinite(x)));
      const at = (values: Float32Array) => liveValues(values.subarray(i * m, (i + 1) * m), live, isFree);
      next.set(nextPoint(courses[i]!, { point: at(from), image: at(moved) }, merits[i]!, memory), i * m);
    }
    best = best ? keepBetter(best, now, isBetter) : now;
    from = next;
    if (done.every(Boolean)) break;
  }
  return { ...best!, steps: tf.tensor1d(steps, "int32") };
}

/** New results for problems that they are better of, the old ones for the others. */
function keepBetter(old: Solution, now: Solution, isBetter: readonly boolean[]): Solution {
  if (isBetter.every(Boolean)) {
    tf.dispose({ ...old });
    return now;
  }
  if (!isBetter.includes(true)) {
    tf.dispose({ ...now });
    return old;
  }
  const where = tf.tensor1d(isBetter.map(Number), "int32");
  const pick = <T extends tf.Tensor>(x: T, y: T): T =>
    tf.tidy(() => {
      const shape = [isBetter.length, ...x.shape.slice(1).map(() => 1)];
      const mask = tf.tile(tf.reshape(where, shape), [1, ...x.shape.slice(1)]);
      return tf.where(tf.cast(mask, "bool"), y, x);
    });
  const merged = {
    f: pick(old.f, now.f),
    g: pick(old.g, now.g),
    steps: pick(old.steps, now.steps),
    plan: pick(old.plan, now.plan),
    rows: pick(old.rows, now.rows),
    columns: pick(old.columns, now.columns),
    transported: pick(old.transported, now.transported),
  };
  tf.dispose([where, { ...old }, { ...now }]);
  return merged;
}
