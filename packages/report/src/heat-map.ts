import * as Plot from "@observablehq/plot";
import { drawing, framed } from "./charts.ts";
import { number } from "./html.ts";

/** Cells wider than this have their figure written in them. */
const mostWritten = 10;
const shades = 40;

/** The shades from 0 to the largest value, with their figures. */
function scale(largest: number): string {
  const steps = Array.from({ length: shades }, (_, i) => ({
    from: (i / shades) * largest,
    to: ((i + 1) / shades) * largest,
  }));
  return drawing([Plot.rect(steps, { x1: "from", x2: "to", y1: 0, y2: 1, fill: "to" })], {
    height: 40,
    marginTop: 2,
    marginBottom: 22,
    x: { label: null, ticks: 4, tickFormat: (value: number) => number(value), insetRight: 8 },
    y: { axis: null },
    color: { scheme: "blues", domain: [0, largest] },
  });
}

/** A matrix as squares, rows from the top, shades from 0 to the largest beside their scale; empty when there is nothing to draw. */
export function heatMap(
  caption: string,
  matrix: readonly (readonly number[])[],
  [rows, columns]: readonly [string, string],
): string {
  const cells = matrix.flatMap((row, y) => row.map((value, x) => ({ x, y, value })));
  if (cells.length === 0 || cells.some(({ value }) => !Number.isFinite(value))) return "";
  const largest = Math.max(...cells.map(({ value }) => value), 1e-30);
  const written = matrix.length <= mostWritten && matrix[0]!.length <= mostWritten ? cells : [];
  const map = drawing(
    [
      Plot.cell(cells, { x: "x", y: "y", fill: "value", inset: 0 }),
      Plot.text(written, {
        x: "x",
        y: "y",
        text: ({ value }) => number(value, 2),
        fill: ({ value }) => (value > largest / 2 ? "white" : "black"),
        fontSize: 10,
      }),
    ],
    {
      height: 380,
      x: { label: columns, ticks: [] },
      y: { label: rows, ticks: [] },
      color: { type: "linear", scheme: "blues", domain: [0, largest], legend: false },
    },
  );
  return framed(caption, map, scale(largest));
}
