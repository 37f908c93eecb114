import { type Colours, density, reliability } from "./charts.ts";
import { escapeHtml, number, table } from "./html.ts";
import type { GeneratorEvaluation, Picture, RunData } from "./run-data.ts";

/** Whether a run made a one-step generator, or the denoiser that teaches one. */
export const isGenerator = ({ config, evaluation }: RunData): boolean =>
  evaluation.generator !== undefined || config.sigmaMax !== undefined;

const generators = (runs: readonly RunData[]): [RunData, GeneratorEvaluation][] =>
  runs.flatMap((run): [RunData, GeneratorEvaluation][] =>
    run.evaluation.generator ? [[run, run.evaluation.generator]] : [],
  );

/** Every measure of every source of samples, the teacher's and the real data's rows with the student's. */
export function measures(runs: readonly RunData[]): string {
  const rows = generators(runs).flatMap(([run, { rows: own }]) => own.map((row) => [run, row] as const));
  const names = [...new Set(rows.flatMap(([, { figures }]) => Object.keys(figures)))];
  if (rows.length === 0) return "";
  return table(
    ["run", "samples of", "count", ...names],
    rows.map(([run, { name, samples, figures }]) => [
      run.name,
      name,
      String(samples),
      ...names.map((figure) => number(figures[figure])),
    ]),
  );
}

/** A picture inside the page. */
const embedded = ({ name, png }: Picture, caption: string): string =>
  `<figure><figcaption>${escapeHtml(caption)}</figcaption><img class="pixels" alt="${escapeHtml(name)}" src="data:image/png;base64,${base64(png)}"></figure>`;

/** Base64 without a platform's own means, so that a page can be made anywhere. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x2000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x2000));
  return btoa(text);
}

const several = (figures: readonly string[]): string =>
  figures.some(Boolean) ? `<div class="plots">${figures.join("")}</div>` : "";

/** The grids of a run's images: student, teacher, fake denoiser, real. */
export const pictures = (runs: readonly RunData[]): string =>
  several(
    runs.flatMap((run) =>
      (run.pictures ?? []).map((picture) =>
        embedded(picture, runs.length > 1 ? `${run.name}: ${picture.name}` : picture.name),
      ),
    ),
  );

/** Points of two dimensions, a plot a source, on the same axes. */
export function densities(runs: readonly RunData[]): string {
  const sources = generators(runs).flatMap(([run, { points }]) =>
    (points ?? []).map((source) => ({
      ...source,
      name: runs.length > 1 ? `${run.name}: ${source.name}` : source.name,
    })),
  );
  const all = sources.flatMap(({ points }) => points);
  const extent = (axis: 0 | 1): [number, number] => {
    const values = all
      .map((point) => point[axis]!)
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    // A few points far away must not shrink the rest to a dot.
    const at = (share: number) => values[Math.round(share * (values.length - 1))]!;
    const margin = 0.15 * (at(0.995) - at(0.005));
    return [at(0.005) - margin, at(0.995) + margin];
  };
  if (all.length === 0) return "";
  const domain = [extent(0), extent(1)] as const;
  return several(sources.map(({ name, points }) => density(name, points, domain)));
}

/** How far a learned ratio can be believed, by noise level. */
export const ratioCalibrations = (runs: readonly RunData[], colours: Colours): string =>
  several(
    generators(runs).flatMap(([run, { calibration }]) =>
      (calibration ?? []).map(({ name, ece, bins }) =>
        reliability(
          `${run.name}: ${name}, ECE ${number(ece)}`,
          bins ?? [],
          colours.get(run.name) ?? "#0072B2",
          ["p/(p + q) by the discriminator", "share of real examples"],
        ),
      ),
    ),
  );
