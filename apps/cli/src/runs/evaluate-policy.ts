import { divergence, type Estimate, estimateDivergence, forwardKl, reverseKl } from "@fdiv/divergences";
import { clusteredInterval, distinctN, selfBleu } from "@fdiv/metrics";
import { type CausalLm, generate, sequenceLogProbs, tokenRows } from "@fdiv/models";
import { microBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { Reward } from "../rewards/load-reward.ts";

/** One completion, with what the evaluation needs to know of it. */
export interface Sample {
  prompt: string;
  completion: string;
  promptIds: number[];
  ids: number[];
  /** Log-probability of the whole completion under the model itself, temperature 1. */
  logProb: number;
  reward?: number;
}

export interface SampleOptions {
  prompts: readonly string[];
  /** Completions of each prompt. */
  perPrompt: number;
  maxTokens: number;
  temperature: number;
  seed: number | string;
  /** Prompts sampled together. */
  batch?: number;
  /** Whether prompts are a user's messages in the model's chat template. */
  chat?: boolean;
  signal?: AbortSignal;
}

/** A prompt's tokens, of a chat as the user's message; of an empty one, the token that texts begin with. */
export function promptTokens(
  tokenizer: NonNullable<CausalLm["tokenizer"]>,
  prompt: string,
  { chat = false } = {},
): number[] {
  if (chat) {
    if (!tokenizer.applyChatTemplate)
      throw new ConfigError("chat: the model has no chat template; leave it out.");
    const messages = [{ role: "user", content: prompt }];
    const text = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true });
    return tokenizer.encode(text, { parseSpecial: true });
  }
  const ids = tokenizer.encode(prompt, { addSpecial: true });
  return ids.length > 0 ? ids : [tokenizer.bosId ?? tokenizer.eosId ?? 0];
}

/** A prompt as text and as tokens. */
export interface SamplePrompt {
  text: string;
  ids: number[];
}

/** A sample that was not rewarded yet. */
export type DrawnSample = Omit<Sample, "reward">;

/** One completion of each prompt, sampled together; the draws count from `firstRow`. */
export async function drawSamples(
  model: CausalLm,
  prompts: readonly SamplePrompt[],
  options: Pick<SampleOptions, "maxTokens" | "temperature" | "seed" | "signal"> & { firstRow: number },
): Promise<DrawnSample[]> {
  const { ids, policyLogProbs } = await generate(model, {
    ...options,
    prompts: prompts.map((prompt) => prompt.ids),
  });
  return ids.map((completion, i) => ({
    prompt: prompts[i]!.text,
    promptIds: prompts[i]!.ids,
    ids: completion,
    completion: model.tokenizer!.decode(completion, { skipSpecial: true }),
    logProb: policyLogProbs[i]!.reduce((sum, logProb) => sum + logProb, 0),
  }));
}

/** Samples completions of every prompt. */
export async function samplePolicy(model: CausalLm, options: SampleOptions): Promise<Sample[]> {
  const { tokenizer } = model;
  if (!tokenizer) throw new Error("the model has no tokenizer, so prompts can't be read.");
  const { prompts, perPrompt, chat = false, batch = 64, ...rest } = options;
  const asked = prompts.flatMap((text) => {
    const prompt = { text, ids: promptTokens(tokenizer, text, { chat }) };
    return Array.from({ length: perPrompt }, () => prompt);
  });
  const samples: Sample[] = [];
  for (let from = 0; from < asked.length; from += batch)
    samples.push(...(await drawSamples(model, asked.slice(from, from + batch), { ...rest, firstRow: from })));
  return samples;
}

/** Log-probabilities of completions under another model. */
export function scoreSamples(
  model: CausalLm,
  samples: readonly Sample[],
  microBatchTokens: number,
): number[] {
  const scores = new Array<number>(samples.length);
  const indices = [...samples.keys()];
  const lengthOf = (i: number): number => samples[i]!.promptIds.length + samples[i]!.ids.length;
  for (const group of microBatches(indices, lengthOf, microBatchTokens)) {
    const rows = tokenRows(
      group.map((i) => ({ prompt: samples[i]!.promptIds, completions: [samples[i]!.ids] })),
    );
    const values = tf.tidy(() => sequenceLogProbs(model, rows));
    for (const [at, value] of values.dataSync().entries()) scores[group[at]!] = value;
    values.dispose();
  }
  return scores;
}

export async function rewardSamples(samples: Sample[], reward: Reward): Promise<void> {
  for (const sample of samples) {
    const value = await reward(sample.completion, sample.prompt);
    if (!Number.isFinite(value))
      throw new Error(
        `the reward of ${JSON.stringify(sample.completion.slice(0, 80))} is ${value}, expected a finite number.`,
      );
    sample.reward = value;
  }
}

/** Everything that samples alone say of a policy. */
export interface PolicyEvaluation {
  samples: number;
  /** Sampled at temperature 1, as divergences need; diversity and reward are of the same samples. */
  temperature: number;
  reward?: { value: number; low: number; high: number };
  /** −log π a token, in nats: the entropy rate seen. */
  entropy: { value: number; low: number; high: number };
  /** KL(π‖ref). */
  klToReference?: Estimate;
  /** KL(ref‖π). */
  klFromReference?: Estimate;
  /** The divergence that was trained under. */
  divergence?: Estimate & { name: string };
  distinct: Record<string, number>;
  selfBleu: Record<string, number>;
  meanTokens: number;
}

/** Samples of the policy and of its reference, scored by both. */
export interface CrossScores {
  policy: readonly Sample[];
  policyUnderReference?: readonly number[];
  reference?: readonly Sample[];
  referenceUnderPolicy?: readonly number[];
}

/** Reward, entropy, divergences from the reference both ways, and diversity, with intervals or standard errors. */
export function evaluatePolicy(
  { policy, policyUnderReference, reference, referenceUnderPolicy }: CrossScores,
  { divergenceName, temperature }: { divergenceName: string; temperature: number },
): PolicyEvaluation {
  const words = policy.map(({ completion }) => completion.split(/\s+/).filter(Boolean));
  const rewards = policy.map(({ reward }) => reward).filter((reward) => reward !== undefined);
  const forward = policyUnderReference && policy.map(({ logProb }, i) => logProb - policyUnderReference[i]!);
  const backward =
    reference &&
    referenceUnderPolicy &&
    reference.map(({ logProb }, i) => referenceUnderPolicy[i]! - logProb);
  const lawful = temperature === 1;
  // Samples of one prompt are alike; what is said shall hold for other prompts too.
  const prompts = policy.map(({ prompt }) => prompt);
  const clustered = { clusters: prompts };
  const backwardClustered = { clusters: reference?.map(({ prompt }) => prompt) ?? [] };
  return {
    samples: policy.length,
    temperature,
    entropy: clusteredInterval(
      policy.map(({ logProb, ids }) => -logProb / Math.max(1, ids.length)),
      prompts,
    ),
    ...(rewards.length > 0 && { reward: clusteredInterval(rewards, prompts) }),
    // Samples of another temperature are of another law; no estimate from them would be of these divergences.
    ...(lawful && forward && { klToReference: estimateDivergence(reverseKl, forward, "model", clustered) }),
    ...(lawful &&
      backward && { klFromReference: estimateDivergence(forwardKl, backward, "target", backwardClustered) }),
    ...(lawful &&
      backward && {
        divergence: {
          name: divergenceName,
          ...estimateDivergence(divergence(divergenceName), backward, "target", backwardClustered),
        },
      }),
    distinct: Object.fromEntries([1, 2, 3].map((n) => [n, distinctN(words, n)])),
    selfBleu: Object.fromEntries([2, 3, 4].map((n) => [n, selfBleu(words, n)])),
    meanTokens: policy.reduce((sum, { ids }) => sum + ids.length, 0) / policy.length,
  };
}
