import { acceptanceCurve, estimateMeasures, estimatePartition, estimateUnderPolicy } from "@fdiv/dpg";
import { distinctN, selfBleu } from "@fdiv/metrics";
import { random } from "@fdiv/tensor-core";
import type { DpgConfig } from "./dpg-schema.ts";
import type { LanguagePolicy, Prompt, Text } from "./language-policy.ts";
import type { MadeTarget } from "./make-target.ts";

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** Texts of one distribution, one after another of each prompt, and what all have to say of them. */
interface Drawn {
  texts: readonly Text[];
  asked: readonly Prompt[];
  groups: Int32Array;
  /** Under the policy, the base and the unnormalised target. */
  logPolicy: Float64Array;
  logBase: Float64Array;
  logScores: Float64Array;
}

async function draw(
  made: MadeTarget,
  policy: LanguagePolicy,
  from: "policy" | "base",
  contexts: readonly Prompt[],
  { evaluationSamples, seed }: DpgConfig,
): Promise<Drawn> {
  const groups = Int32Array.from({ length: evaluationSamples }, (_, i) => i % contexts.length);
  const asked = Array.from(groups, (group) => contexts[group]!);
  const source = from === "policy" ? policy : policy.base;
  const { outcomes, logProbs } = await source.sample(asked, random(seed).fork(`evaluation of ${from}`));
  const texts = outcomes as readonly Text[];
  const own = Float64Array.from(Array.from(logProbs));
  const other = from === "policy" ? policy.base : policy;
  const scored = await other.logProbs(texts, asked);
  const isTensor = "dispose" in scored;
  const others = Float64Array.from(Array.from(isTensor ? await scored.data() : scored));
  if (isTensor) scored.dispose();
  const [logPolicy, logBase] = from === "policy" ? [own, others] : [others, own];
  const { logScores } = await made.target.score(texts, asked);
  return { texts, asked, groups, logPolicy, logBase, logScores: Float64Array.from(logScores) };
}

const joined = (a: ArrayLike<number>, b: ArrayLike<number>): Float64Array =>
  Float64Array.from([...Array.from(a), ...Array.from(b)]);

/**
 * Distances to the target from the texts of policy and base together, as draws of their mixture (π + a)/2: no weight exceeds 2·P/a, and modes that
 * the policy has lost are seen in the base's texts, where its own would call it near.
 */
function distances(own: Drawn, base: Drawn) {
  const logPolicy = joined(own.logPolicy, base.logPolicy);
  const logBase = joined(own.logBase, base.logBase);
  const logScores = joined(own.logScores, base.logScores);
  const groups = Int32Array.from([...own.groups, ...base.groups]);
  const logProposal = logPolicy.map((l, i) => {
    const [low, high] = l < logBase[i]! ? [l, logBase[i]!] : [logBase[i]!, l];
    return high + Math.log1p(Math.exp(low - high)) - Math.LN2;
  });
  const partition = estimatePartition({ logScores, logProposal, groups });
  if (!partition.every(({ logZ }) => Number.isFinite(logZ))) return {};
  const batch = { logScores, logProposal, partition, groups, logBase };
  return {
    logPartition: partition.map(({ logZ, interval, effectiveSamples }) => ({
      logZ,
      interval,
      effectiveSamples,
    })),
    policy: estimateMeasures({ ...batch, logPolicy }),
    base: estimateMeasures({ ...batch, logPolicy: logBase }),
  };
}

/** β/Z of quasi-rejection sampling that the curve is taken at. */
const betas = [0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100];

/**
 * What rejecting some of the policy's texts would give: acceptance rate and distance to the target for each β, in units of Z (arXiv 2112.05702). Undefined
 * where no text has mass.
 */
function acceptance({ logPolicy, logScores, groups }: Drawn, logZ: readonly number[]) {
  const normalised = logScores.map((score, i) => score - logZ[groups[i]!]!);
  if (!normalised.some(Number.isFinite)) return undefined;
  return acceptanceCurve({ logScores: normalised, logProposal: logPolicy }, betas);
}

/** What texts of one distribution say of it by themselves. */
async function figuresOf(made: MadeTarget, drawn: Drawn, logPolicy: Float64Array) {
  const { texts, asked, groups, logScores } = drawn;
  const moments: Record<string, { value: number; standardError: number }> = {};
  for (const feature of made.features)
    moments[feature.name] = estimateUnderPolicy(await feature.values(texts, asked), { logPolicy, groups });
  const tokens = texts.map(({ text }) => words(text));
  const few = tokens.slice(0, 200);
  return {
    moments,
    accepted: logScores.filter((x) => x > Number.NEGATIVE_INFINITY).length / texts.length,
    distinct: { 1: distinctN(tokens, 1), 2: distinctN(tokens, 2), 3: distinctN(tokens, 3) },
    selfBleu: { 3: selfBleu(few, 3), 4: selfBleu(few, 4), 5: selfBleu(few, 5) },
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
  const own = await draw(made, policy, "policy", contexts, config);
  const base = await draw(made, policy, "base", contexts, config);
  const { policy: policyMeasures, base: baseMeasures, logPartition } = distances(own, base);
  const curve =
    logPartition &&
    acceptance(
      own,
      logPartition.map(({ logZ }) => logZ),
    );
  return {
    samples: config.evaluationSamples,
    ...(logPartition && { logPartition }),
    ...(curve && { acceptance: curve }),
    policy: {
      ...(await figuresOf(made, own, own.logPolicy)),
      ...(policyMeasures && { measures: policyMeasures }),
    },
    base: {
      ...(await figuresOf(made, base, base.logBase)),
      ...(baseMeasures && { measures: baseMeasures }),
    },
    ...(made.fit && { fit: made.fit }),
  };
}
