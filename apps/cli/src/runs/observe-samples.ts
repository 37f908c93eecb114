import { type Divergence, estimateDivergence, reverseKl } from "@fdiv/divergences";
import { distinctN } from "@fdiv/metrics";
import { type CausalLm, disposeModel, tokenEntropies, tokenRows, withoutAdapter } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { microBatches } from "@fdiv/trainer";
import { ConfigError } from "../config/config-file.ts";
import type { DpoConfig } from "../config/schemas.ts";
import type { Reward } from "../rewards/load-reward.ts";
import type { Session } from "../session.ts";
import { promptsOf } from "./datasets.ts";
import {
  drawSamples,
  promptTokens,
  rewardSamples,
  type Sample,
  type SamplePrompt,
  scoreSamples,
} from "./evaluate-policy.ts";
import { hubProgress } from "./open-model.ts";
import { modelFingerprint } from "./reference.ts";
import { logSamples } from "./sample-log.ts";

type SamplesConfig = Exclude<DpoConfig["samples"], false>;

/** What is drawn each time: a completion of each prompt, the prompts in turn. */
export interface SamplePlan {
  prompts: SamplePrompt[];
  maxTokens: number;
}

/**
 * The prompts configured, or the first of the data, each once, and how many tokens their completions may have.
 *
 * @throws ConfigError when a configured prompt and `maxTokens` do not fit the model's context
 */
export async function planSamples(
  { prompts: given, chat, count, maxTokens: most }: SamplesConfig,
  rows: readonly { prompt: number[] }[],
  model: CausalLm,
): Promise<SamplePlan> {
  const tokenizer = model.tokenizer!;
  const { maxPositions } = model.config;
  if (chat && given === undefined)
    throw new ConfigError(
      "samples.chat is of samples.prompts; the data's prompts are in their template already.",
    );
  const least = most ?? Math.min(64, Math.ceil(maxPositions / 2));
  const prompts =
    given === undefined
      ? [...new Map(rows.map(({ prompt }) => [prompt.join(), prompt])).values()]
          .filter(({ length }) => length + least <= maxPositions)
          .slice(0, count)
          .map((ids) => ({ text: tokenizer.decode(ids, { skipSpecial: true }), ids }))
      : (typeof given === "string" ? await promptsOf(given) : given)
          .slice(0, count)
          .map((text) => ({ text, ids: promptTokens(tokenizer, text, { chat }) }));
  if (prompts.length === 0)
    throw new ConfigError(
      given === undefined
        ? `samples: no prompt of the data leaves room for ${least} tokens in the model's context of ${maxPositions}; set samples.maxTokens or samples.prompts, or samples: false.`
        : `samples: ${String(given)} holds no prompt.`,
    );
  const longest = prompts.reduce((a, b) => (b.ids.length > a.ids.length ? b : a));
  const room = maxPositions - longest.ids.length;
  if (room < (most ?? 1))
    throw new ConfigError(
      `samples: the prompt ${JSON.stringify(longest.text.slice(0, 60))} has ${longest.ids.length} tokens, so the model's context of ` +
        `${maxPositions} has no room for ${most ?? 1} more.`,
    );
  return {
    prompts: Array.from({ length: count }, (_, i) => prompts[i % prompts.length]!),
    maxTokens: most ?? Math.min(64, room),
  };
}

/** What an observation needs to know beside the policy. */
export interface ObservedRun {
  config: DpoConfig;
  divergence: Divergence;
  /** The reference's, so that no figure is ever of a file that changed meanwhile. */
  fingerprint: string;
  reward?: Reward;
}

/**
 * Draws a policy's texts at temperature 1, from the same prompts each time, logs them, and measures them: KL(π‖ref) and the divergence
 * that is trained under, with standard errors; the mean entropy of the next-token laws along them; length, distinct-2 and reward.
 *
 * The reference is the policy without its adapter, or is loaded for the moment, so that training still holds one model. The draws
 * of a step depend on the seed and the step alone, so a resumed run logs the same.
 */
export async function observeSamples(
  step: number,
  model: CausalLm,
  { prompts, maxTokens }: SamplePlan,
  { config, divergence, fingerprint, reward }: ObservedRun,
  session: Session,
): Promise<Record<string, number>> {
  const samples: Sample[] = [];
  for (const group of inOrder(prompts, ({ ids }) => ids.length + maxTokens, config.microBatchTokens))
    samples.push(
      ...(await drawSamples(model, group, {
        maxTokens,
        temperature: 1,
        seed: `samples ${config.seed} ${step}`,
        firstRow: samples.length,
      })),
    );
  if (reward) await rewardSamples(samples, reward);
  const underReference = await referenceScores(config, model, samples, fingerprint, session);
  const clustered = { clusters: samples.map(({ prompt }) => prompt) };
  const ratios = samples.map(({ logProb }, i) => logProb - underReference[i]!);
  await logSamples(
    config.output,
    samples.map((sample) => ({ step, ...sample })),
  );
  return {
    ...(await figures(model, samples, config.microBatchTokens)),
    ...named("kl", estimateDivergence(reverseKl, ratios, "model", clustered)),
    ...(divergence.name !== reverseKl.name &&
      named(divergence.name, estimateDivergence(divergence, ratios, "model", clustered))),
  };
}

/** Groups whose rectangles keep to the limit, in the order given, so that the draws count on. */
function inOrder<R>(rows: readonly R[], lengthOf: (row: R) => number, limit: number): R[][] {
  const groups: R[][] = [];
  let longest = 0;
  for (const row of rows) {
    longest = Math.max(longest, lengthOf(row));
    const last = groups.at(-1);
    if (last && (last.length + 1) * longest <= limit) last.push(row);
    else {
      groups.push([row]);
      longest = lengthOf(row);
    }
  }
  return groups;
}

const named = (name: string, { value, standardError }: { value: number; standardError: number }) => ({
  [`samples/${name}`]: value,
  // One sample has none.
  ...(Number.isFinite(standardError) && { [`samples/${name}/standard-error`]: standardError }),
});

async function figures(
  model: CausalLm,
  samples: readonly Sample[],
  microBatchTokens: number,
): Promise<Record<string, number>> {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const lengthOf = ({ promptIds, ids }: Sample): number => promptIds.length + ids.length;
  let entropy = 0;
  for (const group of microBatches(samples, lengthOf, microBatchTokens)) {
    const rows = tokenRows(group.map(({ promptIds, ids }) => ({ prompt: promptIds, completions: [ids] })));
    for (const nats of await tokenEntropies(model, rows)) entropy += nats;
  }
  const rewards = samples.flatMap(({ reward }) => (reward === undefined ? [] : [reward]));
  return {
    ...(rewards.length > 0 && { "samples/reward": mean(rewards) }),
    "samples/entropy": entropy / samples.reduce((sum, { ids }) => sum + ids.length, 0),
    "samples/length": mean(samples.map(({ ids }) => ids.length)),
    "samples/distinct-2": distinctN(
      samples.map(({ completion }) => completion.split(/\s+/).filter(Boolean)),
      2,
    ),
  };
}

/** What the reference says of texts: the policy with its adapter off, or a model that is loaded for the moment. */
async function referenceScores(
  config: DpoConfig,
  model: CausalLm,
  samples: readonly Sample[],
  fingerprint: string,
  session: Session,
): Promise<number[]> {
  const { microBatchTokens } = config;
  if (model.lora && !config.reference)
    return withoutAdapter(model, () => scoreSamples(model, samples, microBatchTokens));
  const path = config.reference ?? config.model;
  const reference = await loadCausalLm(path, { trainable: false, hub: hubProgress(session) });
  try {
    if ((await modelFingerprint(reference)) !== fingerprint)
      throw new ConfigError(
        `${path} is not what it was when the run began, so KL(π‖ref) of samples can't be told. Put it back, or give another output.`,
      );
    return scoreSamples(reference, samples, microBatchTokens);
  } finally {
    disposeModel(reference);
  }
}
