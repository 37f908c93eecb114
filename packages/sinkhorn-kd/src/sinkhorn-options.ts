import type * as tf from "@tensorflow/tfjs-core";
import { checkOptions } from "./option-check.ts";

/** Masses of the points: a probability vector with equal parts, 1 each (as SinKD has it), or given ones. */
export type Marginals = "normalised" | "unit" | { a: tf.Tensor; b: tf.Tensor };

/** Which points of padded problems are there: how many from the front, or 0/1 masks [problems, points]. */
export type Ragged =
  | { rows: readonly number[]; columns: readonly number[] }
  | { rows: tf.Tensor; columns: tf.Tensor };

/** Fixed iterations, as in the paper, or as many as a tolerance needs. */
export type Stopping =
  | {
      /** Iterations T, each a normalisation of the rows and one of the columns; default 20. */
      iterations?: number;
      tolerance?: undefined;
    }
  | {
      /**
       * A problem ends when the L1 error of its row sums is at most this much mass. Single precision knows it to about
       * (10⁻⁶ + 2⁻²⁴·(max|f| + max|g|)/λ) of the mass: with costs of 1 no
       * tolerance below 10⁻⁶ is reached at λ = .1, 10⁻⁵ at λ = .01, 10⁻⁴ at λ = .001.
       */
      tolerance: number;
      /** Default 1000. */
      maxIterations?: number;
      /** Iterations between two looks; default 10. */
      checkEvery?: number;
      iterations?: undefined;
    };

/** What may speed convergence up; the fixed point is the same. */
export type Acceleration =
  | { kind: "none" }
  /** Over-relaxation, f ← (1 − ω)f + ω·f*, with ω in (0, 2) (arXiv 1711.01851). */
  | { kind: "momentum"; relaxation: number }
  /** Anderson's: each `period` iterations are one step of a fixed point, extrapolated from the last `memory` of them. */
  | { kind: "anderson"; memory?: number; period?: number };

/**
 * What is computed and what its gradient is. `sharp` is ⟨P, D⟩; `regularised` ⟨P, D⟩ − λH(P), H(P) = −ΣP(log P − 1), plus the
 * penalties of relaxed marginals. `unrolled` differentiates the iterations that were done, `implicit` the fixed point. `envelope`
 * takes P for the gradient in D and the potentials for those in the masses, which holds for the regularised objective at its optimum and
 * for no other.
 *
 * The default is `envelope` for `regularised`, with fixed iterations too, as geomloss and OTT-JAX have it: it needs nothing but the plan. After
 * few iterations it is the gradient of no function that was computed, wrong by as much as the plan misses its marginals (`rowError`); take a
 * tolerance, or `unrolled`. Of `sharp` it is `unrolled` with fixed iterations and `implicit`, with the same condition, with a tolerance.
 */
export type Objective =
  | { objective?: "sharp"; gradient?: "unrolled" | "implicit" }
  | { objective: "regularised"; gradient?: "unrolled" | "implicit" | "envelope" };

export type SinkhornOptions = {
  /** λ > 0, the weight of the entropy, in the unit of the cost. */
  lambda: number;
  /** Default normalised. */
  marginals?: Marginals;
  /** Sizes or masks of padded problems; what is not there has mass 0 and changes nothing. */
  ragged?: Ragged;
  /** Default log; kernel iterates on exp(−D/λ) and is refused where that underflows. */
  domain?: "log" | "kernel";
  /** Goes from a large λ down to the wanted one, λ_k = from·factorᵏ, `iterations` at each (defaults .5 and 1). */
  annealing?: { from: number; factor?: number; iterations?: number };
  acceleration?: Acceleration;
  /** ρ of KL(P1‖a) and of KL(Pᵀ1‖b), in the unit of the cost; one number for both. Infinity holds a marginal. */
  unbalanced?: number | { rows: number; columns: number };
} & Stopping &
  Objective;

const optionNames: Record<string, true> = {
  lambda: true,
  marginals: true,
  ragged: true,
  domain: true,
  annealing: true,
  acceleration: true,
  unbalanced: true,
  iterations: true,
  tolerance: true,
  maxIterations: true,
  checkEvery: true,
  objective: true,
  gradient: true,
} satisfies Record<keyof SinkhornOptions | "maxIterations" | "checkEvery", true>;

/** Everything decided. */
export interface SinkhornPlanning {
  lambda: number;
  iterations: number;
  /** 0 when every iteration is done. */
  tolerance: number;
  checkEvery: number;
  domain: "log" | "kernel";
  acceleration: Acceleration;
  /** λ of each stage, falling; the last one is the wanted one. */
  stages: { lambda: number; iterations: number }[];
  /** ρ, infinite where a marginal holds. */
  rho: { rows: number; columns: number };
  objective: "sharp" | "regularised";
  gradient: "unrolled" | "implicit" | "envelope";
}

/** @throws RangeError, beginning with the name, unless the value is above 0 */
export function positive(name: string, value: number, mayBeInfinite = false): number {
  if (value > 0 && (mayBeInfinite || value < Number.POSITIVE_INFINITY)) return value;
  throw new RangeError(`${name} is ${value}, expected a positive finite number.`);
}

function count(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`sinkhorn: ${name} is ${value}, expected a positive whole number.`);
}

function oneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  if ((known as readonly string[]).includes(value)) return value as T;
  throw new RangeError(`sinkhorn: there is no ${name} "${value}"; there are ${known.join(", ")}.`);
}

const mostStages = 1000;

function stagesOf({ annealing, lambda }: SinkhornOptions, iterations: number): SinkhornPlanning["stages"] {
  const last = { lambda, iterations };
  if (!annealing) return [last];
  checkOptions("sinkhorn: annealing", annealing, { from: true, factor: true, iterations: true });
  const { from, factor = 0.5 } = annealing;
  const each = count("annealing.iterations", annealing.iterations ?? 1);
  positive("sinkhorn: annealing.from", from);
  if (!(factor > 0 && factor < 1))
    throw new RangeError(`sinkhorn: annealing.factor is ${factor}, expected a number between 0 and 1.`);
  const stages = [];
  for (let at = from; at > lambda * (1 + 1e-9); at *= factor) {
    stages.push({ lambda: at, iterations: each });
    if (stages.length > mostStages)
      throw new RangeError(`sinkhorn: annealing by ${factor} takes more than ${mostStages} stages.`);
  }
  return [...stages, last];
}

const accelerations: Record<Acceleration["kind"], Record<string, true>> = {
  none: { kind: true },
  momentum: { kind: true, relaxation: true },
  anderson: { kind: true, memory: true, period: true },
};

function accelerationOf({ acceleration = { kind: "none" } }: SinkhornOptions): Acceleration {
  if (typeof acceleration !== "object" || acceleration === null)
    throw new TypeError(`sinkhorn: acceleration is ${acceleration}, expected { kind: … }.`);
  const kind = oneOf("acceleration", acceleration.kind, ["none", "momentum", "anderson"]);
  checkOptions(`sinkhorn: acceleration ${kind}`, acceleration, accelerations[kind]);
  if (acceleration.kind === "momentum" && !(acceleration.relaxation > 0 && acceleration.relaxation < 2))
    throw new RangeError(`sinkhorn: relaxation is ${acceleration.relaxation}, expected a number in (0, 2).`);
  if (acceleration.kind === "anderson") {
    count("acceleration.memory", acceleration.memory ?? 5);
    count("acceleration.period", acceleration.period ?? 5);
  }
  return acceleration;
}

function checkGradient(
  objective: SinkhornPlanning["objective"],
  gradient: SinkhornPlanning["gradient"],
  acceleration: Acceleration,
): void {
  if (gradient === "envelope" && objective !== "regularised")
    throw new RangeError(
      'sinkhorn: the envelope theorem gives the gradient of the regularised objective alone; take objective "regularised", ' +
        'or gradient "implicit" or "unrolled" for the sharp cost.',
    );
  if (gradient === "unrolled" && acceleration.kind === "anderson")
    throw new RangeError(
      "sinkhorn: Anderson's extrapolations can't be unrolled; take gradient \"implicit\", which asks the fixed point alone.",
    );
}

/**
 * Decides what was left open.
 *
 * @throws RangeError on an unknown option, a number out of range, or a gradient that does not belong to the objective
 */
export function planSinkhorn(options: SinkhornOptions): SinkhornPlanning {
  checkOptions("sinkhorn", options, optionNames);
  const lambda = positive("sinkhorn: lambda", options.lambda);
  const untilTolerance = options.tolerance !== undefined;
  if (untilTolerance && options.iterations !== undefined)
    throw new RangeError("sinkhorn: iterations are fixed and tolerance is not; give maxIterations with it.");
  const iterations = count(
    untilTolerance ? "maxIterations" : "iterations",
    untilTolerance ? (options.maxIterations ?? 1000) : (options.iterations ?? 20),
  );
  for (const name of ["maxIterations", "checkEvery"] as const)
    if (!untilTolerance && (options as Record<string, unknown>)[name] !== undefined)
      throw new RangeError(
        `sinkhorn: ${name} would be ignored without a tolerance; give one, or iterations alone.`,
      );
  const acceleration = accelerationOf(options);
  if (acceleration.kind === "anderson" && !untilTolerance)
    throw new RangeError("sinkhorn: Anderson acceleration needs a tolerance to stop at.");
  if (acceleration.kind === "anderson" && untilTolerance && options.checkEvery !== undefined)
    throw new RangeError(
      "sinkhorn: checkEvery would be ignored, Anderson acceleration looks after each acceleration.period.",
    );
  const objective = oneOf("objective", options.objective ?? "sharp", ["sharp", "regularised"]);
  const otherwise = objective === "regularised" ? "envelope" : untilTolerance ? "implicit" : "unrolled";
  const gradient = oneOf("gradient", options.gradient ?? otherwise, ["unrolled", "implicit", "envelope"]);
  checkGradient(objective, gradient, acceleration);
  const domain = oneOf("domain", options.domain ?? "log", ["log", "kernel"]);
  if (domain === "kernel" && (options.annealing || acceleration.kind !== "none"))
    throw new RangeError("sinkhorn: annealing and acceleration belong to the log domain.");
  const { unbalanced = Number.POSITIVE_INFINITY } = options;
  const rho = typeof unbalanced === "number" ? { rows: unbalanced, columns: unbalanced } : unbalanced;
  checkOptions("sinkhorn: unbalanced", rho, { rows: true, columns: true });
  return {
    lambda,
    iterations,
    tolerance: untilTolerance ? positive("sinkhorn: tolerance", options.tolerance!) : 0,
    checkEvery: count("checkEvery", untilTolerance ? (options.checkEvery ?? 10) : 10),
    domain,
    acceleration,
    stages: stagesOf(options, iterations),
    rho: {
      rows: positive("sinkhorn: rho", rho.rows, true),
      columns: positive("sinkhorn: rho", rho.columns, true),
    },
    objective,
    gradient,
  };
}
