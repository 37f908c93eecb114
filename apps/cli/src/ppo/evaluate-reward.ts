import type { Feature } from "@fdiv/dpg";
import type { LanguagePolicy, Prompt, Text } from "../dpg/language-policy.ts";
import type { TextModel } from "../dpg/text-model.ts";
import { evaluatePolicy, type PolicyEvaluation, type Sample } from "../runs/evaluate-policy.ts";
import type { PpoConfig } from "./ppo-schema.ts";

const textOf = ({ completion, ids }: Sample): Text => ({ text: completion, ids });
const promptOf = ({ prompt, promptIds }: Sample): Prompt => ({ text: prompt, ids: promptIds });

/** As many texts of each prompt, some at a time. */
async function drawTexts(
  model: TextModel,
  contexts: readonly Prompt[],
  {
    perPrompt,
    maxTokens,
    chunk,
    seed,
  }: { perPrompt: number; maxTokens: number; chunk: number; seed: string },
): Promise<Sample[]> {
  const asked = contexts.flatMap((prompt) => new Array<Prompt>(perPrompt).fill(prompt));
  const samples: Sample[] = [];
  for (let from = 0; from < asked.length; from += chunk) {
    const prompts = asked.slice(from, from + chunk);
    const { ids, logProbs } = await model.draw(prompts, { maxTokens, seed, firstRow: from });
    for (const [i, own] of ids.entries())
      samples.push({
        prompt: prompts[i]!.text,
        promptIds: [...prompts[i]!.ids],
        ids: own,
        completion: model.tokenizer.decode(own, { skipSpecial: true }),
        logProb: logProbs[i]!.reduce((sum, logProb) => sum + logProb, 0),
      });
  }
  return samples;
}

/** Log-probabilities of texts under the model as it is now. */
async function scoreTexts(model: TextModel, samples: readonly Sample[], chunk: number): Promise<number[]> {
  const scores: number[] = [];
  for (let from = 0; from < samples.length; from += chunk) {
    const some = samples.slice(from, from + chunk);
    const values = model.textLogProbs(some.map(textOf), some.map(promptOf));
    scores.push(...(await values.data()));
    values.dispose();
  }
  return scores;
}

async function rewardAll(samples: readonly Sample[], reward: Feature<Text, Prompt>): Promise<void> {
  const values = await reward.values(samples.map(textOf), samples.map(promptOf));
  for (const [i, sample] of samples.entries()) sample.reward = values[i]!;
}

/** Reward, divergences from the reference and diversity of the policy and of its reference, on fresh texts of each. */
export async function evaluateReward(
  model: TextModel,
  { base }: LanguagePolicy,
  reward: Feature<Text, Prompt>,
  contexts: readonly Prompt[],
  config: PpoConfig,
): Promise<{ evaluation: PolicyEvaluation & { base: PolicyEvaluation }; samples: Sample[] }> {
  const { maxTokens, chunk, seed, evaluationSamples, divergence: divergenceName } = config;
  const perPrompt = Math.max(1, Math.round(evaluationSamples / contexts.length));
  const draw = (name: string) =>
    drawTexts(model, contexts, { perPrompt, maxTokens, chunk, seed: `${name} ${seed}` });
  const policy = await draw("evaluation");
  const { policyUnderReference, reference } = await base.being(async () => ({
    policyUnderReference: await scoreTexts(model, policy, chunk),
    reference: await draw("reference"),
  }));
  const referenceUnderPolicy = await scoreTexts(model, reference, chunk);
  await rewardAll(policy, reward);
  await rewardAll(reference, reward);
  const settings = { divergenceName, temperature: 1 };
  return {
    samples: policy,
    evaluation: {
      ...evaluatePolicy({ policy, policyUnderReference, reference, referenceUnderPolicy }, settings),
      base: evaluatePolicy({ policy: reference }, settings),
    },
  };
}
