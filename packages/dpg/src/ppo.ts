import { reverseKl } from "@fdiv/divergences";
import { adamW, random } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import { contextsOf } from "./context-order.ts";
import { asFeature } from "./feature.ts";
import { estimateMeasures, estimateToTarget, estimateUnderPolicy } from "./measures.ts";
import { knownPartition } from "./partition.ts";
import { type PpoOptions, settlePpo } from "./ppo-options.ts";
import { type Rollout, rollOut } from "./ppo-rollout.ts";
import type { PpoRow } from "./ppo-row.ts";
import { type Update, updateOn } from "./ppo-update.ts";
import { assignParameters, withPrefix } from "./state-tensors.ts";

/** What a run of PPO must remember to go on exactly, beside its options. */
export interface PpoState {
  /** Plain JSON. */
  progress: {
    /** Steps done. */
    step: number;
    /** Every random number is a function of the seed and the step. */
    seed: number | string;
    coefficient: { value: number };
    optimizerIteration: number;
  };
  /** `policy.…` and `optimizer.…`: the live tensors, not copies. */
  tensors: Map<string, tf.Tensor>;
}

/** A run of PPO: iterate over it for its steps. */
export interface PpoRun extends AsyncIterableIterator<PpoRow> {
  /** As it stands between two steps. */
  state(): PpoState;
  /** Frees the optimiser's moments, unless it was given; the policy stays. */
  dispose(): void;
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

function explainedVariance({
  returns,
  values,
}: Pick<Rollout<unknown, unknown>, "returns" | "values">): number {
  const variance = (of: (t: number) => number): number => {
    const list = Array.from(returns, (_, t) => of(t));
    const middle = mean(list);
    return mean(list.map((x) => (x - middle) ** 2));
  };
  const total = variance((t) => returns[t]!);
  return total > 0 ? 1 - variance((t) => returns[t]! - values[t]!) / total : 0;
}

/**
 * Proximal policy optimisation of max_π E r − β·D_f(π‖ref) (Schulman et al. 2017, arXiv 1707.06347, algorithm 1; over language models Ziegler et
 * al. 2019, arXiv 1909.08593): each step draws outcomes, takes advantages by GAE from the value head, and goes through them some epochs with the
 * clipped surrogate. Under reverse KL its fixed point is ref·exp(r/β)/Z, under another divergence ref·exp(s⁻¹((r − λ)/β)) where s reaches −∞. Yields
 * a row of figures a step.
 *
 * Every random number is a function of the seed and the step: a run continued from its state goes on as if it had never stopped, bit for bit on one
 * backend.
 *
 * @param state of an earlier run with the same options, to continue
 * @throws InfiniteDivergenceError where the reference gives a sample no probability and s(∞) = ∞; LawMismatchError when draws do not follow the law
 *   that is scored; RangeError on options, and on rewards and log-probabilities that are no numbers
 */
export function ppo<X, C = undefined>(options: PpoOptions<X, C>, state?: PpoState): PpoRun {
  const settings = settlePpo(options);
  const { policy, reference, steps, learningRate = 1e-3 } = options;
  const { contexts, contextsPerStep, samplesPerContext, coefficient, divergence, seed } = settings;
  const reward = asFeature<X, C>(options.reward);
  const features = (options.features ?? []).map((like) => asFeature<X, C>(like));
  const root = random(seed).fork("ppo");
  const optimizer = options.optimizer ?? adamW();
  let step = 0;
  if (state) {
    const { progress, tensors } = state;
    if (progress.seed !== seed)
      throw new RangeError(`ppo: the state is of a run with seed ${progress.seed}, not of one with ${seed}.`);
    assignParameters("ppo", policy.parameters, withPrefix("policy.", tensors));
    optimizer.load({ tensors: withPrefix("optimizer.", tensors), iteration: progress.optimizerIteration });
    coefficient.load(progress.coefficient);
    step = progress.step;
  }

  async function takeStep(): Promise<PpoRow> {
    const stream = root.fork(step);
    const chosen = contextsOf(step, contextsPerStep, contexts.length, root);
    const members = chosen.flatMap((context) => new Array<number>(samplesPerContext).fill(context));
    const asked = members.map((context) => contexts[context]!);
    const rollout = await rollOut(policy, reference, reward, asked, settings, stream.fork("samples"));
    const row = await judged(rollout, members);
    const updates: Update[] = [];
    const rate = typeof learningRate === "number" ? learningRate : learningRate(step);
    const perEpoch = Math.ceil(asked.length / settings.minibatch);
    for (let epoch = 0; epoch < settings.epochs; epoch++) {
      const order = Array.from(stream.fork(`epoch ${epoch}`).permutation(asked.length));
      for (let b = 0; b < perEpoch; b++) {
        const minibatch = order.slice(b * settings.minibatch, (b + 1) * settings.minibatch);
        updates.push(await updateOn(policy, rollout, minibatch, settings, optimizer, rate));
      }
    }
    coefficient.update(row.divergence.value, asked.length);
    step++;
    const over = (name: keyof Update, of = updates): number => mean(of.map((update) => update[name]));
    return {
      ...row,
      policyLoss: over("policyLoss"),
      valueLoss: over("valueLoss"),
      clipped: over("clipped"),
      approximateKl: over("approximateKl", updates.slice(-perEpoch)),
      gradientNorm: over("gradientNorm"),
      updates: updates.length,
    };
  }

  /** What the outcomes say of the policy that drew them. */
  async function judged(rollout: Rollout<X, C>, members: readonly number[]) {
    const { outcomes, contexts: asked, logPolicy, logReference, rewards } = rollout;
    const places = new Map([...new Set(members)].map((context, place) => [context, place]));
    const groups = members.map((context) => places.get(context)!);
    const partition = [...places].map(() => knownPartition(0));
    const batch = { logPolicy, logScores: logReference, logBase: logReference, partition, groups };
    const measures = estimateMeasures(batch);
    const distance =
      divergence.name === reverseKl.name ? measures.reverseKl : estimateToTarget(divergence, batch);
    const value = estimateUnderPolicy(rewards, batch);
    const moments: PpoRow["moments"] = {};
    for (const one of features)
      moments[one.name] = estimateUnderPolicy(await one.values(outcomes, asked), batch);
    return {
      step: step + 1,
      samples: outcomes.length,
      tokens: rollout.logProbs.length,
      reward: value,
      objective: value.value - coefficient.value * distance.value,
      coefficient: coefficient.value,
      divergence: distance,
      klToReference: measures.reverseKl,
      klFromReference: measures.forwardKl,
      entropy: measures.entropy,
      moments,
      explainedVariance: explainedVariance(rollout),
    };
  }

  async function* run(): AsyncGenerator<PpoRow, void, undefined> {
    while (step < steps) yield await takeStep();
  }
  const rows = run();
  return {
    next: () => rows.next(),
    return: () => rows.return(),
    throw: (error: unknown) => rows.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    state() {
      const { tensors: moments, iteration } = optimizer.state();
      const tensors = new Map<string, tf.Tensor>();
      for (const [name, tensor] of policy.parameters) tensors.set(`policy.${name}`, tensor);
      for (const [name, tensor] of moments) tensors.set(`optimizer.${name}`, tensor);
      const progress = { step, seed, coefficient: coefficient.state(), optimizerIteration: iteration };
      return { progress, tensors };
    },
    dispose() {
      if (!options.optimizer) optimizer.dispose();
    },
  };
}
