import * as tf from "@tensorflow/tfjs-core";
import { perExample } from "./noise-level.ts";
import { scoped, untaped } from "./untaped.ts";

/** The mean logit of each example, [batch]. */
type Critic = (x: tf.Tensor) => tf.Tensor;

const overHeads = (logits: tf.Tensor): tf.Tensor1D =>
  (logits.rank === 2 ? tf.mean(logits, 1) : logits) as tf.Tensor1D;

/**
 * R1, ‖∇ₓ logit(x)‖² of each real example (Mescheder et al. 2018, https://arxiv.org/abs/1801.04406), without second derivatives of the network.
 *
 * Its value is exact. Its gradient with respect to the parameters, 2·∂_θ(v·∇ₓ logit) with v = ∇ₓ logit held fixed, is taken as a central difference along v,
 * (∂_θ logit(x + εu) − ∂_θ logit(x − εu))·‖v‖/ε with u = v/‖v‖: an error of order ε², and networks need first derivatives only.
 *
 * @param critic logits [batch] or [batch, heads]; examples must not influence each other
 * @param options.step ε, default .01
 * @returns [batch]
 */
export function exactGradientPenalty(critic: Critic, x: tf.Tensor, { step = 0.01 } = {}): tf.Tensor1D {
  if (!(step > 0))
    throw new RangeError(`exactGradientPenalty: the step is ${step}, expected a positive number.`);
  // Not inside untaped: a gradient can't be taken within a kernel.
  const slope = tf.grad((at: tf.Tensor) => tf.sum(overHeads(critic(at))))(x);
  const batch = x.shape[0]!;
  const known = untaped(() => {
    const penalty = tf.sum(tf.reshape(tf.square(slope), [batch, -1]), 1);
    const size = tf.sqrt(penalty);
    const unit = tf.div(slope, perExample(tf.add(size, 1e-20), x.rank));
    return { penalty, size, moved: tf.mul(step, unit) };
  });
  const { penalty, size, moved } = scoped(known);
  const above = overHeads(critic(tf.add(x, moved)));
  const below = overHeads(critic(tf.sub(x, moved)));
  const surrogate = tf.mul(tf.div(size, step), tf.sub(above, below)) as tf.Tensor1D;
  const { correction } = scoped(untaped(() => ({ correction: tf.sub(penalty, surrogate) })));
  return tf.add(surrogate, correction) as tf.Tensor1D;
}

/**
 * The approximate R1 of adversarial post-training, (logit(x) − logit(x + δz))², z standard normal (Lin et al. 2025,
 * https://arxiv.org/abs/2501.08316, equation 4): δ² times R1 on average as δ → 0.
 *
 * @param noise z, in x's shape
 * @param options.deviation δ, default .01
 * @param options.logits critic(x) where it is there already
 * @returns [batch], the mean over heads
 */
export function approximateGradientPenalty(
  critic: Critic,
  x: tf.Tensor,
  noise: tf.Tensor,
  { deviation = 0.01, logits }: { deviation?: number; logits?: tf.Tensor } = {},
): tf.Tensor1D {
  if (!(deviation > 0))
    throw new RangeError(
      `approximateGradientPenalty: the deviation is ${deviation}, expected a positive number.`,
    );
  const difference = tf.sub(logits ?? critic(x), critic(tf.add(x, tf.mul(deviation, noise))));
  return overHeads(tf.square(difference));
}
