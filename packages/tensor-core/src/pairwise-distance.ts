import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { matMul } from "./mat-mul.ts";
import { checkRank, checkShape } from "./shape-check.ts";

type Points = { x: tf.Tensor; y: tf.Tensor };

/** Most differences that exist at a time in the generic version. */
const mostDifferences = 1 << 21;

/** [from, count] of runs of columns whose differences of every pair of rows are few enough. */
function columnRuns({ x, y }: Points): [number, number][] {
  const [batch, n, size] = x.shape as [number, number, number];
  const run = Math.max(1, Math.floor(mostDifferences / Math.max(1, batch * n * y.shape[1]!)));
  return Array.from({ length: Math.ceil(size / run) }, (_, i) => [i * run, Math.min(run, size - i * run)]);
}

const columnsOf = (x: tf.Tensor, from: number, count: number): tf.Tensor =>
  tf.slice(x, [0, 0, from], [-1, -1, count]);

const differences = ({ x, y }: Points, from: number, count: number): tf.Tensor =>
  tf.sub(tf.expandDims(columnsOf(x, from, count), 2), tf.expandDims(columnsOf(y, from, count), 1));

/** FdivPairwiseL1Grad: Σⱼ dᵢⱼ·sign(xᵢ − yⱼ) of d [B, n, m], or of dᵀ [B, m, n] when transposed; the sign of 0 is 0. */
export const pairwiseL1GradKernel = defineKernel<Points & { d: tf.Tensor }, { transposed: boolean }>({
  name: "FdivPairwiseL1Grad",
  generic: ({ d, x, y }, { transposed }) => {
    if (x.size === 0 || y.size === 0) return tf.zeros(x.shape);
    const weights = tf.expandDims(transposed ? tf.transpose(d, [0, 2, 1]) : d, 3);
    const parts = columnRuns({ x, y }).map(([from, count]) =>
      tf.tidy(() => tf.sum(tf.mul(weights, tf.sign(differences({ x, y }, from, count))), 2)),
    );
    return tf.concat(parts, 2);
  },
});

/** FdivPairwiseDistance: Σᵥ|xᵢᵥ − yⱼᵥ|, or Σᵥ(xᵢᵥ − yⱼᵥ)² when squared, of x [B, n, V] and y [B, m, V]: [B, n, m]. */
export const pairwiseDistanceKernel = defineKernel<Points, { squared: boolean }>({
  name: "FdivPairwiseDistance",
  generic: ({ x, y }, { squared }) => {
    let sum: tf.Tensor = tf.zeros([x.shape[0]!, x.shape[1]!, y.shape[1]!]);
    if (x.size === 0 || y.size === 0) return sum;
    for (const [from, count] of columnRuns({ x, y })) {
      const before = sum;
      sum = tf.tidy(() => {
        const d = differences({ x, y }, from, count);
        return tf.add(before, tf.sum(squared ? tf.square(d) : tf.abs(d), 3));
      });
      before.dispose();
    }
    return sum;
  },
  gradient: {
    inputs: ["x", "y"],
    outputs: [false],
    run: ([d], [x, y], { squared }) => {
      const of = (self: tf.Tensor, other: tf.Tensor, transposed: boolean) => () =>
        squared
          ? squaredGradient(d!, self, other, transposed)
          : pairwiseL1GradKernel({ d: d!, x: self, y: other }, { transposed })[0]!;
      return { x: of(x!, y!, false), y: of(y!, x!, true) };
    },
  },
});

/** 2·(xᵢ·Σⱼdᵢⱼ − Σⱼdᵢⱼ·yⱼ) */
function squaredGradient(d: tf.Tensor, x: tf.Tensor, y: tf.Tensor, transposed: boolean): tf.Tensor {
  const total = tf.expandDims(tf.sum(d, transposed ? 1 : 2), 2);
  return tf.mul(2, tf.sub(tf.mul(x, total), matMul(d, y, { transposeA: transposed })));
}

/**
 * The distance of every row of x to every row of y, L1 Σᵥ|xᵢᵥ − yⱼᵥ| or squared Euclidean Σᵥ(xᵢᵥ − yⱼᵥ)²; differentiable in both, with
 * gradient 0 of |0|. The differences [B, n, m, V] never exist.
 *
 * @param x [B, n, V]
 * @param y [B, m, V]
 * @returns [B, n, m]
 * @throws when the shapes do not fit
 */
export function pairwiseDistance(
  x: tf.Tensor,
  y: tf.Tensor,
  { squared = false }: { squared?: boolean } = {},
): tf.Tensor3D {
  checkRank("pairwiseDistance", "x", x, 3);
  checkRank("pairwiseDistance", "y", y, 3);
  const [batch, , size] = x.shape as [number, number, number];
  checkShape("pairwiseDistance", "y", y, [batch, y.shape[1]!, size], "as many problems and columns as x");
  return pairwiseDistanceKernel({ x, y }, { squared })[0] as tf.Tensor3D;
}
