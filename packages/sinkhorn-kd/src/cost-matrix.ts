import { matMul, pairwiseDistance } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** How far points are apart: Σ|x − y|, Σ(x − y)², 1 − cos(x, y), or a function of [problems, n, V] and [problems, m, V]. */
export type Cost = "l1" | "squaredEuclidean" | "cosine" | ((x: tf.Tensor3D, y: tf.Tensor3D) => tf.Tensor3D);

/** x/|x| of each row, and 0 for a row of zeros, which is orthogonal to all. */
function unitRows(x: tf.Tensor3D): tf.Tensor3D {
  const square = tf.sum(tf.square(x), 2, true);
  const length = tf.sqrt(tf.maximum(square, 1e-30));
  return tf.div(x, length);
}

/**
 * The cost of moving every row of x to every row of y, differentiable in both; the gradient of |0| is 0. Differences of rows
 * are never in memory all at once, however wide the rows.
 *
 * @param x [n, V] or [problems, n, V]
 * @param y [m, V] or [problems, m, V]
 * @returns [n, m] or [problems, n, m]
 * @throws RangeError when the shapes do not fit or a function returns another shape
 */
export function costMatrix(x: tf.Tensor, y: tf.Tensor, cost: Cost = "squaredEuclidean"): tf.Tensor {
  if (!(x instanceof tf.Tensor && y instanceof tf.Tensor))
    throw new TypeError("costMatrix: x and y are tensors [n, V] and [m, V], such as tf.tensor2d gives.");
  if (x.rank !== y.rank || (x.rank !== 2 && x.rank !== 3))
    throw new RangeError(
      `costMatrix: x has shape [${x.shape}] and y [${y.shape}], expected [n, V] and [m, V] or a batch of such.`,
    );
  if (x.shape.at(-1) !== y.shape.at(-1) || (x.rank === 3 && x.shape[0] !== y.shape[0]))
    throw new RangeError(`costMatrix: x [${x.shape}] and y [${y.shape}] are not as wide or not as many.`);
  return tf.tidy(() => {
    const [u, v] = (x.rank === 3 ? [x, y] : [tf.expandDims(x, 0), tf.expandDims(y, 0)]) as [
      tf.Tensor3D,
      tf.Tensor3D,
    ];
    const wanted = [u.shape[0], u.shape[1], v.shape[1]];
    const found = between(u, v, cost);
    if (found.rank !== 3 || found.shape.some((size, axis) => size !== wanted[axis]))
      throw new RangeError(`costMatrix: the cost function returned [${found.shape}], expected [${wanted}].`);
    return tf.reshape(found, x.rank === 3 ? wanted : wanted.slice(1));
  });
}

function between(x: tf.Tensor3D, y: tf.Tensor3D, cost: Cost): tf.Tensor3D {
  if (typeof cost === "function") return cost(x, y);
  switch (cost) {
    case "l1":
      return pairwiseDistance(x, y);
    case "squaredEuclidean":
      return pairwiseDistance(x, y, { squared: true });
    case "cosine":
      return tf.sub(1, matMul(unitRows(x), unitRows(y), { transposeB: true }));
    default:
      throw new RangeError(
        `costMatrix: there is no cost "${cost}"; there are l1, squaredEuclidean, cosine, or give a function.`,
      );
  }
}
