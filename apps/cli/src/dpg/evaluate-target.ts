import { estimateMeasures, estimatePartition, estimateUnderPolicy } from "@fdiv/dpg";
import { distinctN, selfBleu } from "@fdiv/metrics";
import { random } from "@fdiv/tensor-core";
import type { MadeTarget } from "./approach.ts";
import type { DpgConfig } from "./dpg-schema.ts";
import type { LanguagePolicy, Prompt, Text } from "./language-policy.ts";

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** One distribution's figures on texts of its own. */
async function figuresOf(
  made: MadeTarget,
  from: LanguagePolicy | LanguagePolicy["base"],
  contexts: readonly Prompt[],
  { evaluationSamples, seed }: DpgConfig,
) {
  const groups = Int32Array.from({ length: evaluationSamples }, (_, i) => i % contexts.length);
  const asked = Array.from(groups, (group) => contexts[group]!);
  const { outcomes, logProbs } = await from.sample(asked, random(seed).fork("evaluation"));
  const texts = outcomes as readonly Text[];
  const { logScores, baseLogProbs } = await made.target.score(texts, asked);
  const logPolicy = Float64Array.from(Array.from(logProbs));
  const partition = estimatePartition({ logScores, logProposal: logPolicy, groups });
  const moments: Record<string, { value: number; standardError: number }> = {};
  for (const feature of made.features)
    moments[feature.name] = estimateUnderPolicy(await feature.values(texts, asked), { logPolicy, groups });
  const known = partition.every(({ logZ }) => Number.isFinite(logZ));
  const tokens = texts.map(({ text }) => words(text));
  return {
    moments,
    ...(known && {
      measures: estimateMeasures({
        logPolicy,
        logScores,
        partition,
        groups,
        ...(baseLogProbs && { logBase: baseLogProbs }),
      }),
      logPartition: partition.map(({ logZ, interval, effectiveSamples }) => ({
        logZ,
        interval,
        effectiveSamples,
      })),
    }),
    accepted: logScores.filter((x) => x > Number.NEGATIVE_INFINITY).length / texts.length,
    distinct: { 1: distinctN(tokens, 1), 2: distinctN(tokens, 2), 3: distinctN(tokens, 3) },
    selfBleu: {
      3: selfBleu(tokens.slice(0, 200), 3),
      4: selfBleu(tokens.slice(0, 200), 4),
      5: selfBleu(tokens.slice(0, 200), 5),
    },
    texts: texts.slice(0, 10).map(({ text }) => text),
  };
}

/** How near the policy came to the target, and what it costs in diversity, beside the base on as many texts. */
export async function evaluateTarget(
  made: MadeTarget,
  policy: LanguagePolicy,
  contexts: readonly Prompt[],
  config: DpgConfig,
) {
  return {
    samples: config.evaluationSamples,
    policy: await figuresOf(made, policy, contexts, config),
    base: await figuresOf(made, policy.base, contexts, config),
    ...(made.fit && { fit: made.fit }),
  };
}
