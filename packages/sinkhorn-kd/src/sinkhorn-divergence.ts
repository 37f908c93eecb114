import * as tf from "@tensorflow/tfjs-core";
import { type Cost, costMatrix } from "./cost-matrix.ts";
import { sinkhorn } from "./sinkhorn.ts";
import type { Ragged, SinkhornOptions } from "./sinkhorn-options.ts";

export type SinkhornDivergenceOptions = SinkhornOptions & { cost?: Cost; unbalanced?: undefined };

const swapped = (side: "rows" | "columns", ragged: Ragged | undefined): { ragged?: Ragged } =>
  ragged ? { ragged: { rows: ragged[side], columns: ragged[side] } as Ragged } : {};

/**
 * The debiased divergence of two point clouds, S = OT(x, y) − ½OT(x, x) − ½OT(y, y) (arXiv 1810.08278), 0 at x = y; the terms that
 * depend on one side's masses alone cancel. Differentiable in both clouds and in given marginals.
 *
 * @param x [n, V] or [problems, n, V]
 * @param y [m, V] or [problems, m, V]
 * @param options.objective default regularised, of which S ≥ 0 holds
 * @returns a scalar or [problems]
 * @throws as `sinkhorn`; RangeError with unbalanced, where debiasing needs other terms
 */
export function sinkhornDivergence(
  x: tf.Tensor,
  y: tf.Tensor,
  options: SinkhornDivergenceOptions,
): tf.Tensor {
  const { cost = "squaredEuclidean", ...given } = options ?? {};
  if (given.unbalanced !== undefined)
    throw new RangeError(
      "sinkhornDivergence: debiasing is offered for marginals that hold, not with unbalanced.",
    );
  const { marginals, ragged, ...rest } = { objective: "regularised" as const, ...given } as SinkhornOptions;
  const value = (u: tf.Tensor, v: tf.Tensor, sides: Pick<SinkhornOptions, "marginals" | "ragged">) =>
    sinkhorn(costMatrix(u, v, cost), { ...rest, ...sides } as SinkhornOptions).value;
  const of = (side: "a" | "b", points: "rows" | "columns") => ({
    ...swapped(points, ragged),
    ...(marginals && {
      marginals: typeof marginals === "object" ? { a: marginals[side], b: marginals[side] } : marginals,
    }),
  });
  return tf.tidy(() => {
    const between = value(x, y, { ...(marginals && { marginals }), ...(ragged && { ragged }) });
    const own = tf.add(value(x, x, of("a", "rows")), value(y, y, of("b", "columns")));
    return tf.sub(between, tf.mul(0.5, own));
  });
}
