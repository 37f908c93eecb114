import { type SinkhornAttributes, sinkhornKernel } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Start } from "./potentials.ts";
import { type Solution, solutionOf } from "./solution.ts";
import type { TransportProblem } from "./transport-problem.ts";

interface Memory {
  /** Points that a step began at, and how far it went: x and G(x) − x. */
  points: Float64Array[];
  moves: Float64Array[];
}

const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);

/** Solves a small symmetric system with a ridge, by Gaussian elimination with pivots. */
function solveSmall(matrix: number[][], right: number[]): number[] {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= n; j++) rows[i]![j]! -= factor * rows[k]![j]!;
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = rows[i]![n]!;
    for (let j = i + 1; j < n; j++) sum -= rows[i]![j]! * x[j]!;
    x[i] = sum / rows[i]![i]!;
  }
  return x;
}

/** Anderson's next point (type II): the combination of past steps that moves least, followed by its move. */
function extrapolate({ points, moves }: Memory): Float64Array {
  const last = moves.length - 1;
  const differences = moves.slice(0, -1).map((move) => move.map((value, i) => moves[last]![i]! - value));
  const next = points[last]!.map((value, i) => value + moves[last]![i]!);
  if (differences.length === 0) return next;
  const gram = differences.map((x) => differences.map((y) => dot(x, y)));
  const ridge = 1e-10 * gram.reduce((sum, row, i) => sum + row[i]!, 0) + Number.MIN_VALUE;
  gram.forEach((row, i) => {
    row[i]! += ridge;
  });
  const weights = solveSmall(
    gram,
    differences.map((x) => dot(x, moves[last]!)),
  );
  weights.forEach((weight, k) => {
    for (let i = 0; i < next.length; i++)
      next[i]! -= weight * (points[last]![i]! - points[k]![i]! + differences[k]![i]!);
  });
  return next.every(Number.isFinite) ? next : points[last]!.map((value, i) => value + moves[last]![i]!);
}

/** A few plain iterations of those problems that go on. */
function advance(problem: TransportProblem, gStart: tf.Tensor, attributes: SinkhornAttributes): Solution {
  const fStart = tf.zeros(problem.a.shape);
  const solution = solutionOf(sinkhornKernel({ ...problem, fStart, gStart }, attributes));
  fStart.dispose();
  return solution;
}

/** How much mass each problem's rows are from where one more half-step would bring them. */
function errorsOf(
  { a }: TransportProblem,
  { f, rows }: Solution,
  { rowDamping, lambda }: SinkhornAttributes,
) {
  return tf
    .tidy(() => {
      if (rowDamping === 1) return tf.sum(tf.abs(tf.sub(rows, a)), 1);
      const rho = (rowDamping * lambda) / (1 - rowDamping);
      return tf.sum(tf.abs(tf.sub(rows, tf.mul(a, tf.exp(tf.div(f, -rho))))), 1);
    })
    .dataSync();
}

/**
 * Sinkhorn with Anderson acceleration of the column potentials (arXiv 2006.08172): `period` iterations are one step of a fixed
 * point, and steps are extrapolated from the last `memory`. Each problem has memories of its own, and one whose error has grown forgets them.
 */
export function andersonPotentials(
  problem: TransportProblem,
  start: Start,
  attributes: SinkhornAttributes,
  { memory = 5, period = 5 }: { memory?: number; period?: number },
): Solution {
  const [batch, , m] = problem.cost.shape;
  const few = { ...attributes, iterations: period, tolerance: 0 };
  const memories: Memory[] = Array.from({ length: batch }, () => ({ points: [], moves: [] }));
  const done = new Array<boolean>(batch).fill(false);
  const steps = new Int32Array(batch);
  const errors = new Float64Array(batch).fill(Number.POSITIVE_INFINITY);
  let from = Float32Array.from(start.gStart.dataSync());
  let best: Solution | undefined;
  for (let used = 0; used < attributes.iterations; used += period) {
    const gStart = tf.tensor2d(from, [batch, m]);
    const now = advance(problem, gStart, few);
    gStart.dispose();
    const [moved, error] = [now.g.dataSync(), errorsOf(problem, now, attributes)];
    const merged = best ? keepDone(best, now, done) : now;
    best = merged;
    const next = Float32Array.from(from);
    for (let i = 0; i < batch; i++) {
      if (done[i]) continue;
      steps[i]! += period;
      done[i] = error[i]! <= attributes.tolerance;
      const own = memories[i]!;
      if (!(error[i]! < 2 * errors[i]!)) own.points = own.moves = [];
      errors[i] = error[i]!;
      const at = (values: ArrayLike<number>) =>
        Float64Array.from({ length: m }, (_, j) =>
          Number.isFinite(moved[i * m + j]) ? values[i * m + j]! : 0,
        );
      const [x, gx] = [at(from), at(moved)];
      own.points = [...own.points, x].slice(-memory - 1);
      own.moves = [...own.moves, gx.map((value, j) => value - x[j]!)].slice(-memory - 1);
      next.set(extrapolate(own), i * m);
    }
    from = next;
    if (done.every(Boolean)) break;
  }
  return { ...best!, steps: tf.tensor1d(steps, "int32") };
}

/** New results for problems that go on, the old ones for those that were done. */
function keepDone(old: Solution, now: Solution, done: readonly boolean[]): Solution {
  if (!done.includes(true)) {
    tf.dispose({ ...old });
    return now;
  }
  const where = tf.tensor1d(done.map(Number), "bool");
  const pick = <T extends tf.Tensor>(x: T, y: T): T =>
    tf.tidy(() => {
      const shape = [done.length, ...x.shape.slice(1).map(() => 1)];
      const mask = tf.tile(tf.reshape(tf.cast(where, "int32"), shape), [1, ...x.shape.slice(1)]);
      return tf.where(tf.cast(mask, "bool"), x, y);
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
