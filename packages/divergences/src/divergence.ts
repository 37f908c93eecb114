import type * as tf from "@tensorflow/tfjs-core";
import type { Formula } from "./arithmetic.ts";

/** A function of the log-ratio, on a number (float64) or elementwise on a tensor (float32). */
export interface OfLogRatio {
  (logRatio: number): number;
  <T extends tf.Tensor>(logRatio: T): T;
}

/** An open or closed interval of log-ratios. */
export type Interval = readonly [low: number, high: number];

/**
 * An f-divergence D_f(M‖T) = E_T[f(u)] as three functions of the log-ratio l = log u = log M − log T, M the model and T the target.
 * f is shifted so that f(1) = f′(1) = 0.
 *
 * Where an exponential of l would overflow the functions go on linearly, with the value and the slope that they have there, so
 * that neither they nor their gradients become infinite or zero; `saturated` tells where.
 */
export interface Divergence {
  /** As `divergence(name)` finds it. */
  readonly name: string;
  /** φ(l) = f(eˡ); its gradient is eˡ·s(l). At l = ±∞ the limits. */
  readonly value: OfLogRatio;
  /** s(l) = f′(eˡ); its gradient is the weight. f-DPO's implicit reward is β·s. At l = ±∞ the limits. */
  readonly score: OfLogRatio;
  /** h(l) = s′(l) = eˡ·f″(eˡ). */
  readonly weight: OfLogRatio;
  /** Where the score goes on linearly: 1 where it does and 0 elsewhere. */
  readonly saturated: OfLogRatio;
  /** s(−∞) and s(+∞). */
  readonly scoreLimits: Interval;
  /** f(0), and lim f(u)/u as u → ∞: what mass costs where the other side has none. */
  readonly massLimits: Interval;
  /** f″(1): two divergences of equal curvature have comparable β. */
  readonly curvature: number;
  /** s⁻¹(y), the log-ratio of a score. Throws RangeError outside the score's range. */
  inverseScore(score: number): number;
  /** D_f(T‖M) as a divergence of M from T: f°(u) = u·f(1/u). */
  dual(): Divergence;
  /** The formulas it is made of. */
  readonly definition: DivergenceDefinition;
}

export interface DivergenceDefinition {
  name: string;
  /** Other names that `divergence` takes. */
  aliases?: readonly string[];
  value: Formula;
  score: Formula;
  weight: Formula;
  /** f(0) = φ(−∞). */
  valueAtZero: number;
  /** f′(∞) = lim f(u)/u as u → ∞, which is s(+∞) too. */
  slopeAtInfinity: number;
  /** f′(0) = s(−∞); told from the formulas when absent. f-DPO admits a divergence only where it is −∞. */
  scoreAtZero?: number;
  /** Whether the value's formula overflows towards −∞, so that it has to go on linearly there too. */
  overflowsBelow?: boolean;
  /** s⁻¹ in closed form; found by bisection when absent. */
  inverseScore?: (score: number) => number;
  /** The dual in closed form; made of this one's formulas when absent. */
  dual?: () => Divergence;
}
