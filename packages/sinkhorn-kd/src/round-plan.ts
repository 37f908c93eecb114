import * as tf from "@tensorflow/tfjs-core";

/** x where it can be divided by, 1 elsewhere. */
const divisor = (x: tf.Tensor): tf.Tensor => tf.where(tf.greater(x, 0), x, tf.onesLike(x));

/**
 * The nearest thing to a plan that has exactly the wanted sums (arXiv 1705.09634, algorithm 2): rows, then columns, are scaled down to
 * their masses, and what is missing is spread as a product. With it the regularised primal value bounds the optimum from above.
 *
 * @param plan [n, m] or [problems, n, m], not negative
 * @param a [n] or [problems, n]
 * @param b [m] or [problems, m], of the same total
 * @returns in the plan's shape
 */
export function roundPlan(plan: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const [rowAxis, columnAxis] = [plan.rank - 2, plan.rank - 1];
    const [masses, others] = [tf.expandDims(a, columnAxis), tf.expandDims(b, rowAxis)];
    const rows = tf.sum(plan, columnAxis, true);
    const narrow = tf.mul(plan, tf.minimum(1, tf.div(masses, divisor(rows))));
    const columns = tf.sum(narrow, rowAxis, true);
    const small = tf.mul(narrow, tf.minimum(1, tf.div(others, divisor(columns))));
    const left = tf.relu(tf.sub(masses, tf.sum(small, columnAxis, true)));
    const right = tf.relu(tf.sub(others, tf.sum(small, rowAxis, true)));
    const total = tf.sum(left, rowAxis, true);
    return tf.add(small, tf.div(tf.mul(left, right), divisor(total)));
  });
}
