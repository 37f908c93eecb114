import { coloursOf, legend, lines, plots } from "./charts.ts";
import { generatorColours, generatorsOf, isDenoiserLog } from "./generator-runs.ts";
import type { RunData } from "./run-data.ts";
import { seedCurves } from "./seed-curves.ts";
import { curve } from "./training-curves.ts";

type Curve = readonly [caption: string, axis: string, key: string];

/** What is drawn of a generator's log. */
const curves: readonly Curve[] = [
  ["distribution matching", "", "matchingLoss"],
  ["adversarial loss of the generator", "nats", "adversarialLoss"],
  ["fake denoiser's loss", "square error", "fakeLoss"],
  ["discriminator's loss", "nats", "discriminatorLoss"],
  ["discriminator's accuracy", "share", "discriminatorAccuracy"],
  ["discriminator's gradient penalty", "R1", "gradientPenalty"],
  ["variance of the weights", "Var(h)/E(h)²", "weightVariance"],
  ["effective samples", "of the batch", "effectiveSamples"],
  ["mean ratio", "p/q", "meanRatio"],
  ["generator's mean", "", "outputMean"],
  ["generator's deviation", "", "outputDeviation"],
  ["gradient norm: generator", "before clipping", "generatorGradientNorm"],
  ["gradient norm: fake denoiser", "before clipping", "fakeGradientNorm"],
  ["gradient norm: discriminator", "before clipping", "discriminatorGradientNorm"],
  ["learning rate of the generator", "", "learningRate"],
];

/** What goes wrong, drawn where it did; the table says where it did not. */
const faults: readonly Curve[] = [
  ["ratios that were clamped", "share", "clampedRatios"],
  ["logits that were clamped", "share", "clampedLogits"],
  ["weights that were saturated", "share", "saturatedWeights"],
  ["steps that were skipped", "so far", "skipped"],
];

/** The logs of the generators, a line a variant; each net's loss and gradient apart. */
export function generatorCurves(runs: readonly RunData[]): string {
  const generators = generatorsOf(runs);
  const own = generators.variants.flatMap((variant) => variant.runs);
  const colours = generatorColours(generators);
  const happened = faults.filter(([, , key]) =>
    own.some(({ rows }) => rows.some((row) => (row[key] ?? 0) > 0)),
  );
  const weighted = own.every(({ config }) => config.fakeLoss === "edm")
    ? "square error, weighted as in EDM"
    : "";
  const drawn = plots(
    [...curves, ...happened].map(([caption, axis, key]) =>
      seedCurves(
        caption,
        key === "fakeLoss" ? weighted || axis : axis,
        generators.variants,
        (run) => curve(run, run.rows, key),
        colours,
      ),
    ),
  );
  return drawn === "" ? "" : (colours.size > 1 ? legend(colours) : "") + drawn;
}

/** The logs of denoisers that were trained to be teachers. */
export function denoiserCurves(runs: readonly RunData[]): string {
  const own = runs.filter(isDenoiserLog);
  const colours = coloursOf(own.map(({ name }) => name));
  const drawn = plots(
    (
      [
        ["denoiser's loss", "square error, weighted as in EDM", "loss"],
        ["gradient norm", "before clipping", "gradientNorm"],
        ["learning rate", "", "learningRate"],
      ] as const
    ).map(([caption, axis, key]) =>
      lines(
        caption,
        axis,
        own.map((run) => curve(run, run.rows, key)),
        colours,
      ),
    ),
  );
  return drawn === "" ? "" : (own.length > 1 ? legend(colours) : "") + drawn;
}
