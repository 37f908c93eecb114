import { clipByGlobalNormAsync, type Optimizer, segmentSum, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { ActorCritic } from "./actor-critic.ts";
import { divergencePenalty } from "./kl-penalty.ts";
import { addGradients } from "./policy-gradient.ts";
import { ppoLoss, valueLoss } from "./ppo-loss.ts";
import type { PpoSettings } from "./ppo-options.ts";
import type { Rollout } from "./ppo-rollout.ts";

/** Sums over tokens of what an update measures, in the order of `names`. */
const names = ["policyLoss", "valueLoss", "clipped", "approximateKl"] as const;
type Sums = Record<(typeof names)[number], number>;

/** What one optimiser step did; means over the tokens of its minibatch. */
export interface Update extends Sums {
  /** Global norm before clipping. */
  gradientNorm: number;
}

/** The tokens of some outcomes, picked out of arrays over all tokens. */
function picker<X, C>(rollout: Rollout<X, C>, members: readonly number[]) {
  const index = members.flatMap((i) => {
    const [from, to] = rollout.ranges[i]!;
    return Array.from({ length: to - from }, (_, t) => from + t);
  });
  return (values: Float64Array): tf.Tensor1D =>
    tf.tensor1d(Float32Array.from(index, (t) => values[t]!)) as tf.Tensor1D;
}

/** The loss of some outcomes' tokens together, divided by `tokens`; what is measured on the way goes to `measured`. */
function chunkLoss<X, C>(
  policy: ActorCritic<X, C>,
  rollout: Rollout<X, C>,
  members: readonly number[],
  settings: PpoSettings<C>,
  tokens: number,
  measured: (sums: tf.Tensor) => void,
): tf.Scalar {
  const pick = picker(rollout, members);
  const { logProbs, values, sequences } = policy.tokens(
    members.map((i) => rollout.outcomes[i]!),
    members.map((i) => rollout.contexts[i]!),
  );
  const oldLogProbs = pick(rollout.logProbs);
  const clipped = ppoLoss(
    { logProbs, oldLogProbs, advantages: pick(rollout.advantages) },
    { clip: settings.clip },
  );
  const worth = valueLoss(
    { values, oldValues: pick(rollout.values), returns: pick(rollout.returns) },
    { clip: settings.valueClip },
  );
  const sums = [clipped.loss, worth, clipped.clipped, clipped.approximateKl].map((x) => tf.sum(x));
  measured(tf.keep(tf.stack(sums)));
  let total: tf.Tensor = tf.add(sums[0]!, tf.mul(settings.valueWeight, sums[1]!));
  if (settings.place === "loss") {
    const referenceLogProbs = pick(rollout.referenceLogProbs);
    const owners = tf.tensor1d(Array.from(sequences), "int32");
    const grouped = (x: tf.Tensor1D): tf.Tensor1D =>
      settings.per === "token" ? x : segmentSum(x, owners, members.length);
    const penalty = divergencePenalty(
      grouped(logProbs),
      grouped(referenceLogProbs),
      settings.divergence,
      grouped(oldLogProbs),
    );
    // Advantages were multiplied by the scale: reward and penalty must keep their proportion.
    total = tf.add(total, tf.mul(settings.coefficient.value * rollout.scale, tf.sum(penalty)));
  }
  return tf.div(total, tokens) as tf.Scalar;
}

/**
 * One optimiser step on some outcomes of a roll-out. Sums are divided by the minibatch's share of all tokens rather than by its own count, so that long
 * outcomes weigh what they weigh in the whole.
 */
export async function updateOn<X, C>(
  policy: ActorCritic<X, C>,
  rollout: Rollout<X, C>,
  members: readonly number[],
  settings: PpoSettings<C>,
  optimizer: Optimizer,
  learningRate: number,
): Promise<Update> {
  const share = (rollout.logProbs.length * members.length) / rollout.outcomes.length;
  const gradients = new Map<string, tf.Tensor>();
  const totals = new Float64Array(names.length);
  try {
    for (let from = 0; from < members.length; from += settings.chunk) {
      let kept: tf.Tensor | undefined;
      const part = valueAndGradients(
        () =>
          chunkLoss(policy, rollout, members.slice(from, from + settings.chunk), settings, share, (sums) => {
            kept = sums;
          }),
        policy.parameters,
      );
      part.value.dispose();
      addGradients(gradients, part.gradients);
      (await kept!.data()).forEach((sum, k) => {
        totals[k]! += sum;
      });
      kept!.dispose();
    }
    const clipping = await clipByGlobalNormAsync(gradients, settings.gradientClip);
    optimizer.step(policy.parameters, gradients, { learningRate, gradientScale: clipping.scale });
    const tokens = members.reduce((sum, i) => sum + rollout.ranges[i]![1] - rollout.ranges[i]![0], 0);
    const means = Object.fromEntries(names.map((name, k) => [name, totals[k]! / tokens])) as Sums;
    return { ...means, gradientNorm: clipping.norm };
  } finally {
    tf.dispose([...gradients.values()]);
  }
}
