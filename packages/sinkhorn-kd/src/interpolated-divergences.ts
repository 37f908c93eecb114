import { type Arithmetic, type Divergence, defineDivergence, forwardKl, reverseKl } from "@fdiv/divergences";
import { checkOptions } from "./option-check.ts";

// Divergences to and from a mixture of teacher and student; u = student/teacher, l = log u.

const known = new Map<string, Divergence>();

/** One object for each parameter, since each has kernels that stay registered. */
function once(name: string, make: (name: string) => Divergence): Divergence {
  const divergence = known.get(name) ?? make(name);
  known.set(name, divergence);
  return divergence;
}

/** log(β + (1 − β)eˡ), of the mixture's ratio to the teacher: accurate near 0, and from the larger side far from it. */
function logMixture<X>(l: X, beta: number, m: Arithmetic<X>): X {
  const far = m.add(
    m.positivePart(m.shift(l, Math.log1p(-beta) - Math.log(beta))),
    m.log1p(m.exp(m.scale(m.abs(m.shift(l, Math.log1p(-beta) - Math.log(beta))), -1))),
  );
  const inner = m.near(l, 1, l, m.constant(l, 0));
  return m.near(l, 1, m.log1p(m.scale(m.expm1(inner), 1 - beta)), m.shift(far, Math.log(beta)));
}

/** e^y·(y − 1 + e⁻ʸ) = u log u − u + 1, accurate near 0. */
const reverseKlValue = <X>(y: X, m: Arithmetic<X>): X => m.multiply(m.exp(y), m.expm2(m.scale(y, -1)));

function checkUnit(what: string, name: string, value: number, isClosed: boolean): void {
  if (isClosed ? value >= 0 && value <= 1 : value >= 0 && value < 1) return;
  throw new RangeError(`${what}: ${name} is ${value}, expected a number in [0, 1${isClosed ? "]" : ")"}.`);
}

/**
 * Generalised Jensen–Shannon, β·KL(T‖A) + (1 − β)·KL(M‖A), A = βT + (1 − β)M (arXiv 2306.13649). It vanishes towards both ends;
 * scaled, divided by β(1 − β), it goes over into forward KL at β = 0 and into reverse KL at β = 1.
 *
 * @throws RangeError when β is outside [0, 1], or at an end without `scaled`, where the divergence is 0
 */
export function generalisedJensenShannon(beta: number, options: { scaled?: boolean } = {}): Divergence {
  checkOptions("generalisedJensenShannon", options, { scaled: true });
  const { scaled = false } = options;
  checkUnit("generalisedJensenShannon", "beta", beta, true);
  if (beta === 0 || beta === 1) {
    if (scaled) return beta === 0 ? forwardKl : reverseKl;
    throw new RangeError(
      `generalisedJensenShannon: at beta ${beta} it is 0 for all; scaled, it is ${beta === 0 ? "forward" : "reverse"} KL there.`,
    );
  }
  const factor = scaled ? 1 / (beta * (1 - beta)) : 1;
  return once(`generalised-jensen-shannon:${beta}${scaled ? ":scaled" : ""}`, (name) =>
    defineDivergence(
      {
        name,
        // (1 − β)·φ(l) − φ(log w), φ of reverse KL and w = β + (1 − β)u.
        value: (l, m) =>
          m.scale(
            m.subtract(m.scale(reverseKlValue(l, m), 1 - beta), reverseKlValue(logMixture(l, beta, m), m)),
            factor,
          ),
        score: (l, m) => m.scale(m.subtract(l, logMixture(l, beta, m)), factor * (1 - beta)),
        weight: (l, m) => m.scale(m.exp(m.scale(logMixture(l, beta, m), -1)), factor * beta * (1 - beta)),
        valueAtZero: -factor * beta * Math.log(beta),
        slopeAtInfinity: -factor * (1 - beta) * Math.log1p(-beta),
        scoreAtZero: Number.NEGATIVE_INFINITY,
        dual: () => generalisedJensenShannon(1 - beta, { scaled }),
      },
      { register: false },
    ),
  );
}

/**
 * Skew forward KL, KL(T‖αT + (1 − α)M) (arXiv 2402.03898): bounded where the student lacks what the teacher has; α = 0 is forward KL.
 *
 * @throws RangeError when α is outside [0, 1)
 */
export function skewForwardKl(alpha: number): Divergence {
  checkUnit("skewForwardKl", "alpha", alpha, false);
  if (alpha === 0) return forwardKl;
  return once(`skew-forward-kl:${alpha}`, (name) =>
    defineDivergence(
      {
        name,
        // −log w + w − 1
        value: (l, m) => m.expm2(logMixture(l, alpha, m)),
        score: (l, m) => m.scale(m.expm1(m.scale(logMixture(l, alpha, m), -1)), alpha - 1),
        weight: (l, m) =>
          m.scale(m.exp(m.subtract(l, m.scale(logMixture(l, alpha, m), 2))), (1 - alpha) ** 2),
        valueAtZero: -Math.log(alpha) + alpha - 1,
        slopeAtInfinity: 1 - alpha,
        scoreAtZero: (1 - alpha) * (1 - 1 / alpha),
      },
      { register: false },
    ),
  );
}

/** Skew reverse KL, KL(M‖αM + (1 − α)T): the dual of skew forward KL; α = 0 is reverse KL. */
export const skewReverseKl = (alpha: number): Divergence => skewForwardKl(alpha).dual();
