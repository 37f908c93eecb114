import { type Divergence, tokenDivergence } from "@fdiv/divergences";
import { lazyGradient } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** Most elements of [tokens, columns] of which intermediate results exist at a time. */
const mostElements = 1 << 20;

const columns = (x: tf.Tensor2D, from: number, count: number): tf.Tensor2D =>
  tf.slice(x, [0, from], [-1, count]);

function runs(size: number, chunk: number): [number, number][] {
  return Array.from({ length: Math.ceil(size / chunk) }, (_, i) => [
    i * chunk,
    Math.min(chunk, size - i * chunk),
  ]);
}

/**
 * A gradient taken while another one is going back. TensorFlow.js ends the outer one's tape together with the inner one's, and
 * then misses it.
 */
function innerGradient(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  const { state } = tf.engine() as unknown as { state: { activeTape: unknown } };
  const outer = state.activeTape;
  try {
    return tf.grad(f)(x, dy);
  } finally {
    state.activeTape = outer;
  }
}

/**
 * `tokenDivergence` with its intermediate results made chunk by chunk of the vocabulary, in the gradient once more; differentiable
 * in the model's log-probabilities.
 *
 * @param model [tokens, V], log-probabilities
 * @param target [tokens, V], a constant
 * @param chunk columns at a time
 * @returns [tokens]
 */
export function chunkedDivergence(
  divergence: Divergence,
  model: tf.Tensor2D,
  target: tf.Tensor2D,
  chunk = Math.max(1, Math.floor(mostElements / Math.max(1, model.shape[0]))),
): tf.Tensor1D {
  const [tokens, size] = model.shape;
  if (tokens === 0) return tf.zeros([0]);
  const parts = runs(size, chunk);
  return lazyGradient(
    { model: model as tf.Tensor },
    (save) => {
      save([model, target]);
      const sums = parts.map(([from, count]) =>
        tf.tidy(() => tokenDivergence(divergence, columns(model, from, count), columns(target, from, count))),
      );
      return tf.addN(sums);
    },
    (dy, [l, t]) => ({
      model: () => {
        const gradients = parts.map(([from, count]) =>
          tf.tidy(() => {
            const other = columns(t as tf.Tensor2D, from, count);
            const f = (x: tf.Tensor) => tokenDivergence(divergence, x as tf.Tensor2D, other);
            return innerGradient(f, columns(l as tf.Tensor2D, from, count), dy);
          }),
        );
        return gradients.length === 1 ? gradients[0]! : tf.concat(gradients, 1);
      },
    }),
  ) as tf.Tensor1D;
}
