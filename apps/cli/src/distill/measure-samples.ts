import { divergencesAtNoise } from "@fdiv/distill";
import {
  classHistogram,
  frechetDistanceTo,
  type Mode,
  modeCoverage,
  neighbourCoverageOf,
} from "@fdiv/metrics";
import type { ImageClassifier } from "@fdiv/models";
import type { DistillData, Examples } from "./distill-data.ts";
import type { EvaluationPlan } from "./evaluation-plan.ts";
import type { Extractor } from "./feature-extractors.ts";
import type { Heard } from "./measuring.ts";
import { classify } from "./train-classifier.ts";

/** One source of samples with its figures by name. */
export interface MeasuredRow {
  name: string;
  samples: number;
  figures: Record<string, number>;
}

/** Measures of features against those of the real examples. */
interface RealSide {
  distance: ReturnType<typeof frechetDistanceTo>;
  coverage: ReturnType<typeof neighbourCoverageOf>;
}

/** The real examples that everything is held against. */
export interface Yardstick {
  real: Examples;
  /** What is known of the real examples is computed once, when the first samples are measured. */
  extractors: readonly { extractor: Extractor; realSide(): Promise<RealSide> }[];
  classifier: ImageClassifier | undefined;
  data: DistillData;
  plan: EvaluationPlan;
}

async function realSideOf({ features }: Extractor, real: Examples, k: number): Promise<RealSide> {
  const own = await features(real);
  return { distance: frechetDistanceTo(own), coverage: neighbourCoverageOf(own, { k }) };
}

/** A yardstick of real examples under some extractors. */
export function yardstickOf({
  extractors,
  ...rest
}: Omit<Yardstick, "extractors"> & { extractors: readonly Extractor[] }): Yardstick {
  return {
    ...rest,
    extractors: extractors.map((extractor) => {
      let known: Promise<RealSide> | undefined;
      return {
        extractor,
        realSide() {
          known ??= realSideOf(extractor, rest.real, rest.plan.neighbours);
          return known;
        },
      };
    }),
  };
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

function mixtureFigures(samples: Examples, { data, plan }: Yardstick): Record<string, number> {
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
  const sigma = plan.sigma ?? deviation / 2;
  const measured = plan.divergences.map(({ divergence }) => divergence);
  const found = divergencesAtNoise(measured, points, mixture, { sigma });
  plan.divergences.forEach(({ name }, i) => {
    figures[`${name} at σ ${Number(sigma.toPrecision(3))}`] = found[i]!;
  });
  return figures;
}

/** Every figure of one source of samples; `conditions` are the classes that they were made for. */
export async function measureSamples(
  name: string,
  samples: Examples,
  yardstick: Yardstick,
  conditions: Int32Array | undefined,
  heard: Heard,
): Promise<MeasuredRow> {
  const { real, extractors, classifier, data } = yardstick;
  const figures: Record<string, number> = {};
  for (const { extractor, realSide } of extractors) {
    const features = await extractor.features(samples);
    await heard(1);
    const { distance, coverage } = await realSide();
    await heard(1);
    const { value, floor } = distance(features);
    await heard(1);
    const near = coverage(features);
    await heard(1);
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
