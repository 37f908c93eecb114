import type { Feature } from "@fdiv/dpg";
import type { CausalLm } from "@fdiv/models";
import type { LanguagePolicy, Prompt, Text } from "../dpg/language-policy.ts";
import {
  evaluatePolicy,
  type PolicyEvaluation,
  type Sample,
  samplePolicy,
  scoreSamples,
} from "../runs/evaluate-policy.ts";
import type { PpoConfig } from "./ppo-schema.ts";

async function rewardAll(samples: readonly Sample[], reward: Feature<Text, Prompt>): Promise<void> {
  const values = await reward.values(
    samples.map(({ completion, ids }) => ({ text: completion, ids })),
    samples.map(({ prompt, promptIds }) => ({ text: prompt, ids: promptIds })),
  );
  for (const [i, sample] of samples.entries()) sample.reward = values[i]!;
}

/** Reward, divergences from the reference and diversity of the policy and of its reference, on fresh texts of each. */
export async function evaluateReward(
  model: CausalLm,
  { base }: LanguagePolicy,
  reward: Feature<Text, Prompt>,
  contexts: readonly Prompt[],
  config: PpoConfig,
): Promise<{ evaluation: PolicyEvaluation & { base: PolicyEvaluation }; samples: Sample[] }> {
  const sampling = {
    prompts: contexts.map(({ text }) => text),
    perPrompt: Math.max(1, Math.round(config.evaluationSamples / contexts.length)),
    maxTokens: config.maxTokens,
    temperature: 1,
    batch: config.chunk,
  };
  const tokensAtOnce = config.chunk * config.maxTokens;
  const policy = await samplePolicy(model, { ...sampling, seed: `evaluation ${config.seed}` });
  const { policyUnderReference, reference } = await base.being(async () => ({
    policyUnderReference: scoreSamples(model, policy, tokensAtOnce),
    reference: await samplePolicy(model, { ...sampling, seed: `reference ${config.seed}` }),
  }));
  const referenceUnderPolicy = scoreSamples(model, reference, tokensAtOnce);
  await rewardAll(policy, reward);
  await rewardAll(reference, reward);
  const settings = { divergenceName: config.divergence, temperature: 1 };
  return {
    samples: policy,
    evaluation: {
      ...evaluatePolicy({ policy, policyUnderReference, reference, referenceUnderPolicy }, settings),
      base: evaluatePolicy({ policy: reference }, settings),
    },
  };
}
