import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { DpoConfig } from "../config/schemas.ts";
import { sentiment } from "../rewards/sentiment.ts";
import { evaluatePolicy, rewardSamples, samplePolicy, scoreSamples } from "../runs/evaluate-policy.ts";
import { mergeEvaluation } from "../runs/merge-evaluation.ts";
import type { Session } from "../session.ts";

/** What one aligned model of the demo's setting is judged by. */
export interface EvaluationRow {
  reward: number;
  klToReference: number;
  entropy: number;
  distinct2: number;
  accuracy: number;
}

/** Judges a model aligned in the demo's setting on the demo's test prompts, and writes what it finds into the run, for the report. */
export async function evaluateAligned(
  config: DpoConfig,
  demo: string,
  session: Session,
): Promise<EvaluationRow> {
  const file = join(demo, "test-prompts.txt");
  const prompts = await readFile(file, "utf8").then(
    (text) => text.split("\n").filter(Boolean),
    () => {
      throw new ConfigError(`${file} is missing; run fdiv demo first and give its folder.`);
    },
  );
  const aligned = await loadCausalLm(join(config.output, "model"), { trainable: false });
  const reference = await loadCausalLm(config.model, { trainable: false });
  const { seed, microBatchTokens } = config;
  const sampling = { prompts, perPrompt: 4, maxTokens: 16, temperature: 1, signal: session.signal };
  const samples = await samplePolicy(aligned, { ...sampling, seed });
  const referenceSamples = await samplePolicy(reference, { ...sampling, seed: `reference ${seed}` });
  await rewardSamples(samples, sentiment);
  const evaluation = evaluatePolicy(
    {
      policy: samples,
      policyUnderReference: scoreSamples(reference, samples, microBatchTokens),
      reference: referenceSamples,
      referenceUnderPolicy: scoreSamples(aligned, referenceSamples, microBatchTokens),
    },
    { divergenceName: config.divergence, temperature: 1 },
  );
  disposeModel(aligned);
  disposeModel(reference);
  const { accuracy } = await mergeEvaluation(config.output, evaluation, samples);
  return {
    reward: evaluation.reward!.value,
    klToReference: evaluation.klToReference!.value,
    entropy: evaluation.entropy.value,
    distinct2: evaluation.distinct[2]!,
    accuracy: accuracy.reward.value,
  };
}
