export type { Arithmetic, Formula } from "./arithmetic.ts";
export { largestExponent } from "./continuation.ts";
export { defineDivergence } from "./define-divergence.ts";
export type { Divergence, DivergenceDefinition, Interval, OfLogRatio } from "./divergence.ts";
export { alpha } from "./divergences/alpha.ts";
export { forwardKl } from "./divergences/forward-kl.ts";
export { jeffreys } from "./divergences/jeffreys.ts";
export { jensenShannon } from "./divergences/jensen-shannon.ts";
export { neymanChi2 } from "./divergences/neyman-chi2.ts";
export { pearsonChi2 } from "./divergences/pearson-chi2.ts";
export { reverseKl } from "./divergences/reverse-kl.ts";
export { softenedForwardKl, softenedReverseKl } from "./divergences/softened-reverse-kl.ts";
export { squaredHellinger } from "./divergences/squared-hellinger.ts";
export { totalVariation } from "./divergences/total-variation.ts";
export { divergenceFromGenerator, type GeneratorDefinition } from "./from-generator.ts";
export {
  type Estimate,
  estimateDivergence,
  exactDivergence,
  meanOverTokens,
  tokenDivergence,
} from "./measure.ts";
export { divergence, divergenceNames } from "./registry.ts";
export { normalised, scaled } from "./scaled.ts";
