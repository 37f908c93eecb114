import { type Divergence, divergence } from "@fdiv/divergences";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";

/** How a run's samples are measured, defaults and all. */
export interface EvaluationPlan {
  /** Of each source. */
  samples: number;
  neighbours: number;
  divergences: { name: string; divergence: Divergence }[];
  /** Of those divergences; half a mode's deviation when absent. */
  sigma: number | undefined;
}

const fewest = 24;

/** How many samples there can be of each source: the real ones are needed twice. */
function sampleCount(written: number | undefined, { size, hasExamples }: DistillData): number {
  const most = hasExamples ? Math.floor(size / 2) : size;
  if (hasExamples && most < fewest)
    throw new ConfigError(
      `data: ${size} examples are too few to measure by; ${2 * fewest} or more are due (of evaluation.captions where they are given).`,
    );
  if (written !== undefined && written > most)
    throw new ConfigError(
      `evaluation.samples: ${written} of ${size} ${hasExamples ? "examples, which are needed twice" : "captions"}; ${most} is the most.`,
    );
  return written ?? Math.min(2000, most);
}

function divergenceNamed(name: string): EvaluationPlan["divergences"][number] {
  try {
    return { name, divergence: divergence(name) };
  } catch (error) {
    throw new ConfigError(`evaluation.divergences: ${(error as Error).message}`);
  }
}

/**
 * What the evaluation's settings come to on the data that is measured by.
 *
 * @throws ConfigError naming a setting that can't be measured with
 */
export function evaluationPlan(
  { evaluation }: Pick<DistillConfig, "evaluation">,
  data: DistillData,
): EvaluationPlan {
  const { features, neighbours = 5, sigma, divergences } = evaluation;
  const samples = sampleCount(evaluation.samples, data);
  if (!data.hasExamples)
    for (const [name, value] of Object.entries({ features, neighbours: evaluation.neighbours }))
      if (value !== undefined)
        throw new ConfigError(
          `evaluation.${name}: there are no pictures to measure by; give them by evaluation.captions.`,
        );
  const least = 2 * (neighbours + 1);
  if (data.hasExamples && samples < least)
    throw new ConfigError(
      `evaluation.neighbours: ${neighbours} take ${least} samples of each source or more; there are ${samples}.`,
    );
  if (data.mixture && data.mixture.dimensions > 2)
    for (const [name, value] of Object.entries({ sigma, divergences }))
      if (value !== undefined)
        throw new ConfigError(
          `evaluation.${name}: quadrature is of one or two dimensions; the mixture has ${data.mixture.dimensions}.`,
        );
  const names = divergences ?? ["reverse-kl", "forward-kl", "jensen-shannon"];
  return { samples, neighbours, divergences: names.map(divergenceNamed), sigma };
}
