import { type Divergence, reverseKl } from "@fdiv/divergences";
import { lazyGradient } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { checkWeightAdmissible } from "./admissibility.ts";
import { type MatchingMetrics, matchingWeights, type WeightOptions } from "./matching-weights.ts";
import { exampleMean, perExample } from "./noise-level.ts";
import { untaped } from "./untaped.ts";

export interface MatchingInputs {
  /** G(z), [batch, ...]: what the gradient goes to. */
  generated: tf.Tensor;
  /** D_teacher(x_t; σ) at x_t = G(z) + σε. */
  teacherDenoised: tf.Tensor;
  /** D_fake(x_t; σ). */
  fakeDenoised: tf.Tensor;
  /** [batch], on the host. */
  sigmas: ArrayLike<number>;
  /** The discriminator's logits at x_t, [batch] or [batch, heads]. */
  logits?: tf.Tensor;
  /** log p_t − log q_t at x_t where it is known, [batch], instead of logits: used as it is, unclamped. */
  logRatio?: tf.Tensor1D;
  /** h as matchingWeights gave it of a whole batch that these examples are part of, [batch], instead of a ratio. */
  weights?: tf.Tensor1D;
}

export interface MatchingOptions extends WeightOptions {
  /**
   * What a score difference is multiplied by besides the weight. `mean-absolute`, the default, is DMD's 1/(mean|G − D_teacher| + 10⁻⁶) on D_fake − D_teacher, the
   * loss a mean over elements. `score` is 1/σ², the loss a sum over elements: the gradient of D_f itself.
   */
  scale?: "mean-absolute" | "score";
}

export interface Matching {
  /** ½‖g‖² an example, whose gradient with respect to G(z) is g over the number of elements (mean-absolute) or g (score); [batch]. */
  loss: tf.Tensor1D;
  /** g, in the shape of G(z); kept. */
  gradient: tf.Tensor;
  /** h as it was used, [batch]; kept. */
  weights: tf.Tensor1D;
  /** Empty where weights were given. */
  metrics: Partial<MatchingMetrics> & Record<string, tf.Tensor>;
}

/** Typed so that an option that is added is accepted too. */
const optionNames: Record<keyof MatchingOptions, true> = {
  divergence: true,
  normaliser: true,
  balance: true,
  scale: true,
  logitClamp: true,
  range: true,
};

const needsRatio = (divergence: Divergence): boolean => divergence.name !== "reverse-kl";

const checked = new WeakSet<Divergence>();

function checkCall(inputs: MatchingInputs, options: MatchingOptions): void {
  const { divergence, normaliser, scale = "mean-absolute" } = options;
  for (const name of Object.keys(options))
    if (!(name in optionNames))
      throw new RangeError(
        `distributionMatching: unknown option "${name}"; there are ${Object.keys(optionNames).join(", ")}.`,
      );
  if (!divergence)
    throw new RangeError("distributionMatching: the divergence is missing, for instance jensenShannon.");
  if (!checked.has(divergence)) checkWeightAdmissible(divergence);
  checked.add(divergence);
  if (scale !== "mean-absolute" && scale !== "score")
    throw new RangeError(
      `distributionMatching: there is no scale "${scale}"; there are mean-absolute and score.`,
    );
  const { generated, teacherDenoised, fakeDenoised, sigmas, logits, logRatio, weights } = inputs;
  tf.util.assertShapesMatch(teacherDenoised.shape, generated.shape, "distributionMatching: teacherDenoised ");
  tf.util.assertShapesMatch(fakeDenoised.shape, generated.shape, "distributionMatching: fakeDenoised ");
  const batch = generated.shape[0]!;
  if (sigmas.length !== batch)
    throw new RangeError(`distributionMatching: ${sigmas.length} noise levels for a batch of ${batch}.`);
  if ([logits, logRatio, weights].filter((given) => given).length > 1)
    throw new RangeError("distributionMatching: give one of logits, logRatio and weights, not both or all.");
  if (!logits && !logRatio && !weights && needsRatio(divergence))
    throw new RangeError(
      `distributionMatching: ${divergence.name} weighs by the density ratio; give logits of a discriminator, or logRatio where it is known.`,
    );
  if (normaliser && !logits)
    throw new RangeError(
      "distributionMatching: a normaliser corrects a discriminator's ratios; there are no logits to correct.",
    );
  const ratios = logits ?? logRatio ?? weights;
  if (ratios && ratios.shape[0] !== batch)
    throw new RangeError(
      `distributionMatching: ratios of ${ratios.shape[0]} examples for a batch of ${batch}.`,
    );
}

/** g = w·(D_fake − D_teacher). */
function direction(
  inputs: MatchingInputs,
  weights: tf.Tensor1D,
  scale: "mean-absolute" | "score",
): tf.Tensor {
  const { generated, teacherDenoised, fakeDenoised, sigmas } = inputs;
  const divisor =
    scale === "score"
      ? tf.square(tf.tensor1d(Float32Array.from(sigmas)))
      : tf.add(exampleMean(tf.abs(tf.sub(generated, teacherDenoised))), 1e-6);
  return tf.mul(perExample(tf.div(weights, divisor), generated.rank), tf.sub(fakeDenoised, teacherDenoised));
}

/**
 * The generator's loss under any f-divergence, ½‖G − sg(G − g)‖² with g = w·(D_fake − D_teacher), w = h(l)/(mean|G − D_teacher| + 10⁻⁶) and l = −log(p_t/q_t)
 * (f-distill, https://arxiv.org/abs/2502.15681, theorem 1 and algorithm 1). The official order: logits' mean over heads → clamp ±10 → exp → clamp [.1, 20] →
 * divide by the noise bin's running mean → h → divide by h's mean over the batch. Per example: the caller reduces.
 *
 * Only G(z) gets a gradient, whatever the other inputs were made of.
 *
 * @throws InadmissibleWeightError for a divergence whose gradient hides in kinks; RangeError on shapes, options, or a missing ratio
 */
export function distributionMatching(inputs: MatchingInputs, options: MatchingOptions): Matching {
  checkCall(inputs, options);
  const { scale = "mean-absolute" } = options;
  const { generated } = inputs;
  const { weights, gradient, ...metrics } = untaped(() => {
    const found = inputs.weights
      ? { weights: tf.clone(inputs.weights) }
      : matchingWeights({ ...inputs, batch: generated.shape[0]! }, options);
    return { ...found, gradient: direction(inputs, found.weights, scale) };
  });
  const reduce = (x: tf.Tensor): tf.Tensor1D => {
    const rows = tf.reshape(x, [x.shape[0]!, -1]);
    return scale === "score" ? tf.sum(rows, 1) : tf.mean(rows, 1);
  };
  const elements = scale === "score" ? 1 : generated.size / generated.shape[0]!;
  const loss = lazyGradient(
    { generated },
    () => tf.mul(0.5, reduce(tf.square(gradient))),
    (dy) => ({
      generated: () => tf.mul(perExample(tf.div(dy, elements), gradient.rank), gradient),
    }),
  ) as tf.Tensor1D;
  return { loss, gradient, weights: weights as tf.Tensor1D, metrics };
}

/**
 * Variational score distillation, DMD's gradient: distribution matching under reverse KL, whose weight is 1 and which needs no ratio
 * (Wang et al. 2023, https://arxiv.org/abs/2305.16213; DMD2, https://arxiv.org/abs/2405.14867).
 */
export function variationalScoreDistillation(
  inputs: Omit<MatchingInputs, "logits" | "logRatio">,
  options: { scale?: "mean-absolute" | "score" } = {},
): Matching {
  return distributionMatching(inputs, { divergence: reverseKl, ...options });
}
