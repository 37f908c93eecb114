import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { DpoConfig } from "../config/schemas.ts";
import { sentiment } from "../rewards/sentiment.ts";
import { evaluatePolicy, rewardSamples, samplePolicy, scoreSamples } from "../runs/evaluate-policy.ts";
import type { Session } from "../session.ts";

/** What one aligned model of the demo's setting is judged by. */
export interface EvaluationRow {
  reward: number;
  klToReference: number;
  entropy: number;
  distinct2: number;
  accuracy: number;
}

/** Judges a model aligned in the demo's setting on the demo's test prompts. */
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
  const samples = await samplePolicy(aligned, {
    prompts,
    perPrompt: 4,
    maxTokens: 16,
    temperature: 1,
    seed: config.seed,
    signal: session.signal,
  });
  await rewardSamples(samples, sentiment);
  const evaluation = evaluatePolicy(
    { policy: samples, policyUnderReference: scoreSamples(reference, samples, config.microBatchTokens) },
    { divergenceName: config.divergence, temperature: 1 },
  );
  disposeModel(aligned);
  disposeModel(reference);
  const held = JSON.parse(await readFile(join(config.output, "evaluation.json"), "utf8")) as {
    accuracy: { after: { value: number } };
  };
  return {
    reward: evaluation.reward!.value,
    klToReference: evaluation.klToReference!.value,
    entropy: evaluation.entropy.value,
    distinct2: evaluation.distinct[2]!,
    accuracy: held.accuracy.after.value,
  };
}
