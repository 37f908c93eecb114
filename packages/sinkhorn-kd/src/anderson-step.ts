/** Where a fixed point's step began and where it led, x and G(x). */
export interface Step {
  point: Float64Array;
  image: Float64Array;
}

/** Steps back from the latest that an extrapolation may lean on; beyond it the differences are mostly rounding. */
const mostWeight = 1e4;

const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);

/** Solves a small symmetric system by Gaussian elimination with pivots. */
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

/** The weights that make the combined move least, with a ridge of what float32 leaves of the differences' squares. */
function weightsOf(differences: Float64Array[], move: Float64Array): number[] {
  const gram = differences.map((x) => differences.map((y) => dot(x, y)));
  const ridge = 1e-10 * gram.reduce((sum, row, i) => sum + row[i]!, 0) + Number.MIN_VALUE;
  gram.forEach((row, i) => {
    row[i]! += ridge;
  });
  return solveSmall(
    gram,
    differences.map((x) => dot(x, move)),
  );
}

/**
 * Anderson's next point (type II): the combination of past steps that moves least, followed by its move. The oldest steps are left out
 * until the weights are sane.
 *
 * @param steps the latest last
 * @returns nothing when no combination is sane, or there is one step only
 */
export function extrapolate(steps: readonly Step[]): Float64Array | undefined {
  const moves = steps.map(({ point, image }) => image.map((value, i) => value - point[i]!));
  const last = steps.length - 1;
  for (let first = 0; first < last; first++) {
    const used = steps.slice(first, last);
    const differences = used.map((_, k) => moves[first + k]!.map((value, i) => moves[last]![i]! - value));
    const weights = weightsOf(differences, moves[last]!);
    const total = weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
    if (!(total <= mostWeight)) continue;
    const next = Float64Array.from(steps[last]!.image);
    weights.forEach((weight, k) => {
      const { image } = used[k]!;
      for (let i = 0; i < next.length; i++) next[i]! -= weight * (steps[last]!.image[i]! - image[i]!);
    });
    if (next.every(Number.isFinite)) return next;
  }
  return undefined;
}

/** How good a step's end is. */
export interface Merit {
  /** Mass that the rows are off by. */
  error: number;
  /** The dual's value, which plain steps never lower, and how well it is known. */
  dual: number;
  rounding: number;
}

/** What one problem has been through. */
export interface Course {
  /** Accepted steps, the latest last. */
  steps: Step[];
  /** How good the latest accepted step is. */
  merit: Merit;
  /** What a plain step last left of the error, and what it added to the dual. */
  rate: number;
  gain: number;
  /** Whether the point to judge next was extrapolated. */
  isTrial: boolean;
  /** Plain steps until the next extrapolation, and how many after another failure. */
  wait: number;
  penalty: number;
}

export const newCourse = (): Course => ({
  steps: [],
  merit: { error: Number.POSITIVE_INFINITY, dual: Number.NEGATIVE_INFINITY, rounding: 0 },
  rate: 1,
  gain: Number.POSITIVE_INFINITY,
  isTrial: false,
  wait: 0,
  penalty: 1,
});

/** Whether an extrapolated point did at least as well as a plain step is known to. */
function isWorth({ merit: before, rate, gain }: Course, merit: Merit): boolean {
  const gained = merit.dual - before.dual;
  const noise = before.rounding + merit.rounding;
  // Far from the optimum errors stay on plateaus while the dual rises; near it the dual is rounding, and the error tells.
  return (gained > noise && gained >= gain) || (gained >= -noise && merit.error <= rate * before.error);
}

/**
 * Judges a step and chooses where the next one begins. An extrapolated point that is not worth it is forgotten with the steps that led to it,
 * and after each failure twice as many plain steps are made before the next trial, so that failures cost little however many a problem has.
 * The error alone is no judge: there are far points of small error that plain steps take thousands to come back from.
 */
export function nextPoint(course: Course, step: Step, merit: Merit, memory: number): Float64Array {
  const { merit: before } = course;
  if (course.isTrial && !isWorth(course, merit)) {
    course.steps = course.steps.slice(-1);
    course.wait = course.penalty;
    course.penalty *= 2;
    course.isTrial = false;
    return course.steps[0]!.image;
  }
  if (course.isTrial) course.penalty = Math.max(1, course.penalty / 2);
  else if (before.error < Number.POSITIVE_INFINITY) {
    course.rate = Math.min(1, merit.error / before.error);
    course.gain = Math.max(0, merit.dual - before.dual);
  }
  course.merit = merit;
  course.steps = [...course.steps, step].slice(-memory - 1);
  course.wait--;
  const point = course.wait >= 0 ? undefined : extrapolate(course.steps);
  course.isTrial = point !== undefined;
  return point ?? step.image;
}
