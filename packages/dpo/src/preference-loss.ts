import type { Divergence } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { checkAdmissible } from "./admissibility.ts";
import { hingeLoss, ipoLoss, robustLoss, sigmoidLoss } from "./margin-losses.ts";

/** One number a pair of each side. */
export interface Pair<T = tf.Tensor1D> {
  chosen: T;
  rejected: T;
}

/** Sums of the completions' token log-probabilities, [batch], in nats. */
export interface PairLogProbs {
  policy: Pair;
  reference: Pair;
}

const kinds = ["sigmoid", "robust", "hinge", "ipo"] as const;
export type PreferenceLossKind = (typeof kinds)[number];

export interface PreferenceLossOptions {
  divergence: Divergence;
  /** How strongly the policy is held to the reference; positive. */
  beta: number;
  /** What is made of the margin; default sigmoid, f-DPO's own. */
  loss?: PreferenceLossKind;
  /** Share of labels taken to be flipped, in [0, ½); sigmoid and robust only. Default 0. */
  labelSmoothing?: number;
  /** Tokens of each completion, [batch]: divides each log-ratio by them. */
  lengths?: Pair;
  /** Goes on with a divergence whose loss is not that of its regularised objective. Default false. */
  allowInadmissible?: boolean;
}

/** Everything a pair's loss is made of, [batch] each. */
export interface PreferenceLoss {
  loss: tf.Tensor1D;
  /** β·s(l_w), the implicit reward under the divergence that is trained. */
  chosenReward: tf.Tensor1D;
  rejectedReward: tf.Tensor1D;
  /** Δ; sigmoid(Δ) is the model's probability of the label. */
  margin: tf.Tensor1D;
  /** l_w = log π(y_w) − log π_ref(y_w), a token when lengths are given. */
  chosenLogRatio: tf.Tensor1D;
  rejectedLogRatio: tf.Tensor1D;
  /** How many of the two scores were continued linearly: 0, 1 or 2. */
  saturated: tf.Tensor1D;
}

/** Typed so that an option that is added is accepted too. */
const optionNames: Record<keyof PreferenceLossOptions, true> = {
  divergence: true,
  beta: true,
  loss: true,
  labelSmoothing: true,
  lengths: true,
  allowInadmissible: true,
};

function checkOptions(given: PreferenceLossOptions): void {
  const { divergence, beta, loss = "sigmoid", ...options } = given;
  for (const name of Object.keys(given))
    if (!(name in optionNames))
      throw new RangeError(
        `preferenceLoss: unknown option "${name}"; there are ${Object.keys(optionNames).join(", ")}.`,
      );
  if (!divergence) throw new RangeError("preferenceLoss: the divergence is missing, for instance reverseKl.");
  if (!kinds.includes(loss))
    throw new RangeError(`preferenceLoss: there is no loss "${loss}"; there are ${kinds.join(", ")}.`);
  if (!(beta > 0 && beta < Number.POSITIVE_INFINITY))
    throw new RangeError(`preferenceLoss: beta is ${beta}, expected a positive finite number.`);
  if (!options.allowInadmissible) checkAdmissible(divergence);
  if (loss === "ipo" && divergence.name !== "reverse-kl")
    throw new RangeError(
      `preferenceLoss: IPO is derived for reverse-kl alone; ${divergence.name} needs another loss.`,
    );
  if ((options.labelSmoothing ?? 0) !== 0 && loss !== "sigmoid" && loss !== "robust")
    throw new RangeError(`preferenceLoss: the ${loss} loss has no label smoothing.`);
}

function checkPairs({ policy, reference }: PairLogProbs, lengths?: Pair): void {
  const [batch] = policy.chosen.shape;
  const named = {
    "policy.chosen": policy.chosen,
    "policy.rejected": policy.rejected,
    "reference.chosen": reference.chosen,
    "reference.rejected": reference.rejected,
    ...(lengths && { "lengths.chosen": lengths.chosen, "lengths.rejected": lengths.rejected }),
  };
  for (const [name, { shape }] of Object.entries(named))
    if (shape.length !== 1 || shape[0] !== batch)
      throw new RangeError(
        `preferenceLoss: ${name} has shape [${shape}], expected [${batch}], one number a pair.`,
      );
}

function lossOf(margin: tf.Tensor1D, { loss = "sigmoid", beta, labelSmoothing = 0 }: PreferenceLossOptions) {
  switch (loss) {
    case "sigmoid":
      return sigmoidLoss(margin, labelSmoothing);
    case "robust":
      return robustLoss(margin, labelSmoothing);
    case "hinge":
      return hingeLoss(margin);
    case "ipo":
      return ipoLoss(margin, beta);
  }
}

/**
 * The f-DPO loss of preference pairs, softplus(−Δ) with Δ = β[s(l_w) − s(l_r)], l = log π − log π_ref and s = f′(eˡ)
 * (arXiv 2309.16240, equation 8); dL/dl_w = −β·sigmoid(−Δ)·h(l_w), dL/dl_r = β·sigmoid(−Δ)·h(l_r). Per example: the caller reduces.
 *
 * @param logProbs [batch] each, in nats
 * @throws InadmissibleDivergenceError when f′(0) is finite; RangeError on shapes, beta, smoothing, or IPO beyond reverse KL
 */
export function preferenceLoss(logProbs: PairLogProbs, options: PreferenceLossOptions): PreferenceLoss {
  checkOptions(options);
  checkPairs(logProbs, options.lengths);
  const { policy, reference } = logProbs;
  const { divergence, beta, lengths } = options;
  const logRatio = (side: "chosen" | "rejected"): tf.Tensor1D => {
    const sum = tf.sub(policy[side], reference[side]) as tf.Tensor1D;
    return lengths ? (tf.div(sum, lengths[side]) as tf.Tensor1D) : sum;
  };
  const chosenLogRatio = logRatio("chosen");
  const rejectedLogRatio = logRatio("rejected");
  const chosenReward = tf.mul(beta, divergence.score(chosenLogRatio)) as tf.Tensor1D;
  const rejectedReward = tf.mul(beta, divergence.score(rejectedLogRatio)) as tf.Tensor1D;
  const margin = tf.sub(chosenReward, rejectedReward) as tf.Tensor1D;
  const saturated = tf.add(
    divergence.saturated(chosenLogRatio),
    divergence.saturated(rejectedLogRatio),
  ) as tf.Tensor1D;
  return {
    loss: lossOf(margin, options),
    chosenReward,
    rejectedReward,
    margin,
    chosenLogRatio,
    rejectedLogRatio,
    saturated,
  };
}
