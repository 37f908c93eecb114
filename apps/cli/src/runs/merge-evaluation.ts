import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "@fdiv/trainer/node";
import type { PolicyEvaluation, Sample } from "./evaluate-policy.ts";
import { writeEvaluationSamples } from "./sample-log.ts";

/** What held-out pairs say of a run, as `align` writes it. */
export interface PairEvaluation {
  accuracy: { reward: { value: number } };
  calibration: { bradleyTerry: { ece: number } };
}

/** Adds what samples say of a policy to what held-out pairs said, for the report; the pairs' figures. */
export async function mergeEvaluation(
  run: string,
  evaluation: PolicyEvaluation,
  samples: readonly Sample[],
): Promise<PairEvaluation> {
  const file = join(run, "evaluation.json");
  const pairs = JSON.parse(await readFile(file, "utf8")) as PairEvaluation;
  await writeDurably(file, `${JSON.stringify({ ...pairs, ...evaluation }, null, 2)}\n`);
  await writeEvaluationSamples(run, samples);
  return pairs;
}
