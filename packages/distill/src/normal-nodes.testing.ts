/** Weights of a quadrature over a standard normal: the trapezoid rule, exact to rounding for analytic functions. */
export const nodes = Float32Array.from({ length: 1601 }, (_, i) => (i - 800) / 80);
export const nodeWeights = nodes.map((u) => Math.exp(-(u ** 2) / 2) / Math.sqrt(2 * Math.PI) / 80);
