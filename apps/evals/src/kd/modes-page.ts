import { coloursOf, type FrontierPoint, frontier, legend, page, section } from "@fdiv/report";
import type { ModeFigures } from "./mode-settings.ts";
import type { ModesResult } from "./modes.ts";

const captions: Record<keyof ModeFigures, string> = {
  valley: "mass between the modes (averaging)",
  smaller: "mass at the smaller mode, of the teacher's (collapse: 0)",
  larger: "mass at the larger mode, of the teacher's",
  wasserstein: "Wasserstein's distance to the teacher, places",
  totalVariation: "total variation to the teacher",
};

const least = 1e-9;

/** Plots of the fits over the modes' distance, and of loss and pull over the shift. */
export function modesPage({ rows, signals }: ModesResult): string {
  const colours = coloursOf(rows.map(({ loss }) => loss));
  const fits = (Object.keys(captions) as (keyof ModeFigures)[]).map((key) =>
    frontier(
      captions[key],
      ["places between the modes", ""],
      rows.map(({ loss, separation, figures }): FrontierPoint => {
        const { value, low, high } = figures[key];
        return { series: loss, label: "", x: separation, y: value, yLow: low, yHigh: high };
      }),
      colours,
    ),
  );
  const over = (caption: string, axis: string, pick: (row: (typeof signals)[number]) => number) =>
    frontier(
      caption,
      ["places between student and teacher", axis],
      signals.map((row) => ({ series: row.loss, label: "", x: row.shift, y: pick(row) })),
      colours,
    );
  const body = [
    section(
      "A student of one mode, a teacher of two",
      `${legend(colours)}<div class="plots">${fits.join("")}</div>`,
      "Means over seeds of eight examples each; bars are 95 % intervals.",
    ),
    section(
      "The pull on a student that overlaps less and less",
      `${legend(colours)}<div class="plots">${over(
        "pull on the mean",
        "log₁₀ |∂loss/∂mean|",
        ({ gradient }) => Math.log10(Math.max(gradient, least)),
      )}${over("loss", "log₁₀", ({ value }) => Math.log10(Math.max(value, least)))}</div>`,
    ),
  ];
  return page("Modes under each loss", "Controlled distributions over 64 places.", body);
}
