import { divergencesAtNoise } from "@fdiv/distill";
import { divergence } from "@fdiv/divergences";
import { classHistogram, frechetDistance, type Mode, modeCoverage, neighbourCoverage } from "@fdiv/metrics";
import type { ImageClassifier } from "@fdiv/models";
import type { DistillData, Examples } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import type { Extractor } from "./feature-extractors.ts";
import { classify } from "./train-classifier.ts";

/** One source of samples with its figures by name. */
export interface MeasuredRow {
  name: string;
  samples: number;
  figures: Record<string, number>;
}

/** The real examples that everything is held against, measured once. */
export interface Yardstick {
  real: Examples;
  extractors: readonly Extractor[];
  classifier: ImageClassifier | undefined;
  data: DistillData;
  evaluation: DistillConfig["evaluation"];
}

/** Class shares of the examples, by their labels. */
function shares({ labels }: Examples, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels!) counts[label]!++;
  return counts;
}

/** A mixture's components as modes, where each has one deviation for all axes. */
export function modesOf({ mixture }: DistillData): Mode[] | undefined {
  const modes = mixture?.components.map(({ weight, mean, covariance }) => {
    const variance = covariance[0]![0]!;
    const round = covariance.every((row, i) =>
      row.every((x, j) => Math.abs(x - (i === j ? variance : 0)) < 1e-9),
    );
    return round ? { weight, mean, deviation: Math.sqrt(variance) } : undefined;
  });
  return modes?.every((mode) => mode !== undefined) ? (modes as Mode[]) : undefined;
}

function mixtureFigures(samples: Examples, { data, evaluation }: Yardstick): Record<string, number> {
  const { mixture } = data;
  if (!mixture) return {};
  const d = mixture.dimensions;
  const figures: Record<string, number> = {};
  const modes = modesOf(data);
  if (modes) {
    const { off, covered, divergence: modeKl } = modeCoverage({ ...samples, dimensions: d }, modes);
    Object.assign(figures, { "modes covered": covered, "off the modes": off, "mode KL": modeKl });
  }
  if (d > 2) return figures;
  const points = Array.from({ length: Math.min(samples.count, 2000) }, (_, i) =>
    Array.from(samples.values.subarray(i * d, (i + 1) * d)),
  );
  const deviation = Math.min(...mixture.components.map(({ covariance }) => Math.sqrt(covariance[0]![0]!)));
  const sigma = evaluation.sigma ?? deviation / 2;
  const found = divergencesAtNoise(evaluation.divergences.map(divergence), points, mixture, { sigma });
  evaluation.divergences.forEach((name, i) => {
    figures[`${name} at σ ${Number(sigma.toPrecision(3))}`] = found[i]!;
  });
  return figures;
}

/** Every figure of one source of samples; `conditions` are the classes that they were made for. */
export async function measureSamples(
  name: string,
  samples: Examples,
  yardstick: Yardstick,
  conditions?: Int32Array,
): Promise<MeasuredRow> {
  const { real, extractors, classifier, data, evaluation } = yardstick;
  const figures: Record<string, number> = {};
  for (const extractor of extractors) {
    const [a, b] = [await extractor.features(real), await extractor.features(samples)];
    const { value, floor } = frechetDistance(a, b);
    const near = neighbourCoverage(a, b, { k: evaluation.neighbours });
    Object.assign(figures, {
      [`Fréchet (${extractor.name})`]: value,
      [`Fréchet floor of halves (${extractor.name})`]: floor,
      [`precision (${extractor.name})`]: near.precision,
      [`recall (${extractor.name})`]: near.recall,
      [`density (${extractor.name})`]: near.density,
      [`coverage (${extractor.name})`]: near.coverage,
    });
  }
  if (classifier) {
    const labels = classify(classifier, samples, data.shape);
    const { covered, divergence: classKl } = classHistogram(labels, shares(real, data.classes));
    Object.assign(figures, { "classes covered": covered, "class KL": classKl });
    if (conditions)
      figures["class as asked"] =
        labels.reduce((right, label, i) => right + Number(label === conditions[i]), 0) / labels.length;
  }
  return { name, samples: samples.count, figures: { ...figures, ...mixtureFigures(samples, yardstick) } };
}
