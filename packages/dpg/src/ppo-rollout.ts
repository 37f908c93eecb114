import type { Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { ActorCritic, TokenReference } from "./actor-critic.ts";
import { generalisedAdvantages, sequenceRanges, whiten, whiteningScale } from "./advantages.ts";
import type { Feature } from "./feature.ts";
import { penalisedRewards } from "./kl-penalty.ts";
import { checkSameLaw, checkSampledLogProbs } from "./law.ts";
import { drawProposal, type LogProbs } from "./policy.ts";
import type { PpoSettings } from "./ppo-options.ts";

/** A step's outcomes with everything that its epochs learn from; all that is of tokens is [tokens]. */
export interface Rollout<X, C> {
  outcomes: readonly X[];
  contexts: readonly C[];
  /** Where each outcome's tokens begin and end. */
  ranges: readonly [from: number, to: number][];
  logProbs: Float64Array;
  referenceLogProbs: Float64Array;
  values: Float64Array;
  advantages: Float64Array;
  returns: Float64Array;
  /** What advantages were multiplied by. */
  scale: number;
  /** By outcome. */
  rewards: Float64Array;
  /** Σ over an outcome's tokens of log π and of log ref. */
  logPolicy: Float64Array;
  logReference: Float64Array;
}

const sums = (values: Float64Array, ranges: readonly [number, number][]): Float64Array =>
  Float64Array.from(ranges, ([from, to]) => values.subarray(from, to).reduce((sum, x) => sum + x, 0));

async function readTokens(who: string, logProbs: LogProbs): Promise<Float64Array> {
  const isTensor = typeof (logProbs as tf.Tensor1D).data === "function";
  const values = Float64Array.from(
    Array.from(isTensor ? await (logProbs as tf.Tensor1D).data() : (logProbs as ArrayLike<number>)),
  );
  if (isTensor) (logProbs as tf.Tensor1D).dispose();
  values.forEach((logProb, t) => {
    if (Number.isNaN(logProb) || logProb === Number.POSITIVE_INFINITY)
      throw new RangeError(`${who} gave token ${t} the log-probability ${logProb}.`);
  });
  return values;
}

/** Log-probabilities and values as they are now, a chunk of outcomes at a time, without a gradient. */
async function scoreTokens<X, C>(
  policy: ActorCritic<X, C>,
  outcomes: readonly X[],
  contexts: readonly C[],
  chunk: number,
): Promise<{ logProbs: Float64Array; values: Float64Array; sequences: Int32Array }> {
  const logProbs: number[] = [];
  const values: number[] = [];
  const sequences: number[] = [];
  for (let from = 0; from < outcomes.length; from += chunk) {
    let owners: ArrayLike<number> = [];
    const both = tf.tidy(() => {
      const scored = policy.tokens(outcomes.slice(from, from + chunk), contexts.slice(from, from + chunk));
      owners = scored.sequences;
      return tf.stack([scored.logProbs, scored.values]);
    });
    const figures = await both.data();
    both.dispose();
    const tokens = figures.length / 2;
    for (let t = 0; t < tokens; t++) {
      logProbs.push(figures[t]!);
      values.push(figures[tokens + t]!);
      sequences.push(from + owners[t]!);
    }
  }
  return {
    logProbs: Float64Array.from(logProbs),
    values: Float64Array.from(values),
    sequences: Int32Array.from(sequences),
  };
}

/**
 * Draws outcomes, and finds each token's reward, penalty and advantage under the policy that drew it.
 *
 * @throws LawMismatchError when draws do not follow the law that is scored; RangeError on an outcome without tokens or rewards and values that
 *   are no numbers
 */
export async function rollOut<X, C>(
  policy: ActorCritic<X, C>,
  reference: TokenReference<X, C>,
  reward: Feature<X, C>,
  contexts: readonly C[],
  settings: PpoSettings<C>,
  random: Random,
): Promise<Rollout<X, C>> {
  const drawn = await drawProposal(
    "the policy",
    {
      async sample(asked, stream) {
        const samples = await policy.sample(asked, stream);
        checkSameLaw("the policy", samples.law, policy.law);
        return samples;
      },
    },
    contexts,
    random,
  );
  const { outcomes } = drawn;
  const { logProbs, values, sequences } = await scoreTokens(policy, outcomes, contexts, settings.chunk);
  const ranges = sequenceRanges("ppo", sequences);
  if (ranges.length !== outcomes.length)
    throw new RangeError(
      `ppo: the policy scored tokens of ${ranges.length} of ${outcomes.length} outcomes; each needs one at least.`,
    );
  const badValue = values.findIndex((value) => !Number.isFinite(value));
  if (badValue >= 0)
    throw new RangeError(`ppo: the policy gave token ${badValue} the value ${values[badValue]}.`);
  const logPolicy = sums(logProbs, ranges);
  checkSampledLogProbs("the policy", drawn.logProbs, logPolicy, settings.lawTolerance);
  const referenceLogProbs = await readTokens(
    "the reference",
    await reference.tokenLogProbs(outcomes, contexts),
  );
  if (referenceLogProbs.length !== logProbs.length)
    throw new RangeError(
      `ppo: the reference scored ${referenceLogProbs.length} tokens, the policy ${logProbs.length}.`,
    );
  const rewards = Float64Array.from(await reward.values(outcomes, contexts));
  const { coefficient, divergence, place, per, gamma, lambda } = settings;
  // With a coefficient of 0 the rewards alone; either way a divergence that is infinite here is refused.
  const penalised = penalisedRewards(
    { scores: rewards, logProbs, referenceLogProbs, sequences },
    { coefficient: coefficient.value, divergence, per },
  );
  const plain = () =>
    penalisedRewards({ scores: rewards, logProbs, referenceLogProbs, sequences }, { coefficient: 0 });
  const { advantages, returns } = generalisedAdvantages(
    { rewards: place === "reward" ? penalised : plain(), values, sequences },
    { gamma, lambda },
  );
  return {
    outcomes,
    contexts,
    ranges,
    logProbs,
    referenceLogProbs,
    values,
    returns,
    advantages: settings.whiten ? whiten(advantages) : advantages,
    scale: settings.whiten ? whiteningScale(advantages) : 1,
    rewards,
    logPolicy,
    logReference: sums(referenceLogProbs, ranges),
  };
}
