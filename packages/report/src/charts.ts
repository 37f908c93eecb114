import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { escapeHtml } from "./html.ts";
import type { Bin } from "./run-data.ts";

/** Okabe and Ito's colours, told apart by every kind of sight; then others, for pages with more series than those. */
const palette = [
  ...["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"],
  ...["#8566D0", "#B03A56", "#44AA99", "#B0A030", "#AA4499", "#6B8E23", "#CC6677"],
];

export type Colours = ReadonlyMap<string, string>;

export const coloursOf = (names: readonly string[]): Colours =>
  new Map([...new Set(names)].map((name, i) => [name, palette[i % palette.length]!]));

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/** A chart without its frame. */
export function drawing(marks: Plot.Markish[], options: Plot.PlotOptions): string {
  const plot = Plot.plot({
    document: document as unknown as Document,
    width: 420,
    height: 260,
    marginLeft: 52,
    marginBottom: 38,
    style: { background: "transparent", fontSize: "11px" },
    marks,
    ...options,
  });
  return plot.outerHTML;
}

/** Drawings, one under another, in a frame with a caption. */
export const framed = (caption: string, ...drawings: readonly string[]): string =>
  `<figure><figcaption>${escapeHtml(caption)}</figcaption>${drawings.join("")}</figure>`;

export const figure = (caption: string, marks: Plot.Markish[], options: Plot.PlotOptions): string =>
  framed(caption, drawing(marks, options));

/** Small numbers as powers of ten, which fit beside an axis; nothing where the usual ticks do. */
export function tickFormatOf(values: readonly number[]): { tickFormat?: (value: number) => string } {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0 || largest >= 0.01) return {};
  return {
    tickFormat: (value) => (value === 0 ? "0" : Number(value.toPrecision(3)).toExponential()),
  };
}

export const named = (colours: Colours) => ({ domain: [...colours.keys()], range: [...colours.values()] });

export interface Point {
  series: string;
  x: number;
  y: number;
}

const isFinitePoint = ({ x, y }: Point): boolean => Number.isFinite(x) && Number.isFinite(y);

/** At most two points a bucket, its lowest and its highest, so that no spike is lost. */
export function thin(points: readonly Point[], buckets = 300): Point[] {
  if (points.length <= 2 * buckets) return [...points];
  const size = Math.ceil(points.length / buckets);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, b) =>
    points.slice(b * size, (b + 1) * size),
  ).flatMap((bucket) => {
    const low = bucket.reduce((a, b) => (b.y < a.y ? b : a));
    const high = bucket.reduce((a, b) => (b.y > a.y ? b : a));
    return low === high ? [low] : [low, high].sort((a, b) => a.x - b.x);
  });
}

/** A scale for numbers that are all alike, which have no extent of their own; nothing where they differ. */
function domainOfConstant(points: readonly Point[]): { domain?: [number, number] } {
  const value = points[0]!.y;
  if (points.some(({ y }) => y !== value)) return {};
  const half = Math.abs(value) / 2;
  return { domain: value === 0 ? [0, 1] : [value - half, value + half] };
}

/** One line a series over steps; empty when there is nothing to draw. */
export function lines(caption: string, yLabel: string, series: readonly Point[][], colours: Colours): string {
  const points = series.flatMap((one) => thin(one.filter(isFinitePoint)));
  if (points.length === 0) return "";
  return figure(
    caption,
    [
      Plot.lineY(points, { x: "x", y: "y", z: "series", stroke: "series", strokeWidth: 1.6 }),
      ...(points.length < 60 ? [Plot.dot(points, { x: "x", y: "y", fill: "series", r: 2 })] : []),
    ],
    {
      x: { label: "step" },
      y: {
        label: yLabel,
        grid: true,
        nice: true,
        ...domainOfConstant(points),
        ...tickFormatOf(points.map(({ y }) => y)),
      },
      color: named(colours),
    },
  );
}

export interface FrontierPoint extends Point {
  label: string;
  xLow?: number;
  xHigh?: number;
  yLow?: number;
  yHigh?: number;
}

/** Points with error bars, joined within a series. */
export function frontier(
  caption: string,
  [xLabel, yLabel]: readonly [string, string],
  points: readonly FrontierPoint[],
  colours: Colours,
): string {
  const shown = points.filter(isFinitePoint);
  if (shown.length === 0) return "";
  const labelled = new Map(shown.map((point) => [point.label, point]));
  const bars = (low: "xLow" | "yLow", high: "xHigh" | "yHigh") =>
    shown.filter((point) => Number.isFinite(point[low]) && Number.isFinite(point[high]));
  return figure(
    caption,
    [
      Plot.ruleX(bars("yLow", "yHigh"), {
        x: "x",
        y1: "yLow",
        y2: "yHigh",
        stroke: "series",
        strokeOpacity: 0.75,
      }),
      Plot.ruleY(bars("xLow", "xHigh"), {
        y: "y",
        x1: "xLow",
        x2: "xHigh",
        stroke: "series",
        strokeOpacity: 0.75,
      }),
      // In the order given, by β: a frontier that turns back is shown as it is.
      Plot.line(shown, { x: "x", y: "y", z: "series", stroke: "series", strokeOpacity: 0.6 }),
      Plot.dot(shown, { x: "x", y: "y", fill: "series", r: 4 }),
      // One β for all says nothing at every point.
      Plot.text(labelled.size > 1 ? shown : [], {
        x: "x",
        y: "y",
        text: "label",
        dy: -9,
        fontSize: 9,
        fill: "currentColor",
      }),
    ],
    {
      height: 320,
      x: { label: xLabel, grid: true, nice: true, inset: 24 },
      y: { label: yLabel, grid: true, nice: true, inset: 14 },
      color: named(colours),
    },
  );
}

/** Figures beside each other, broad ones two in a row; nothing when there are none. */
export const plots = (figures: readonly string[], { isBroad = false } = {}): string => {
  const some = figures.filter(Boolean);
  return some.length === 0 ? "" : `<div class="plots${isBroad ? " broad" : ""}">${some.join("")}</div>`;
};

/** Names of so many characters leave room enough beside them. */
export const shortName = 26;

/** One figure of several settings, each with its interval, one under another. */
export interface IntervalRow {
  name: string;
  series: string;
  value: number;
  low: number;
  high: number;
}

/** A figure of each setting with its interval, in the order given; empty when there is nothing to draw. */
export function intervals(
  caption: string,
  xLabel: string,
  rows: readonly IntervalRow[],
  colours: Colours,
): string {
  const shown = rows.filter(({ value }) => Number.isFinite(value));
  if (shown.length === 0) return "";
  const longest = Math.max(...shown.map(({ name }) => name.length));
  const barred = shown.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  return figure(
    caption,
    [
      Plot.ruleY(barred, { y: "name", x1: "low", x2: "high", stroke: "series", strokeWidth: 2 }),
      Plot.dot(shown, { y: "name", x: "value", fill: "series", r: 3.5 }),
    ],
    {
      height: 60 + 20 * shown.length,
      marginLeft: 20 + 6 * longest,
      width: 420 + 6 * Math.max(0, longest - shortName),
      x: { label: xLabel, grid: true, nice: true },
      y: { label: null, domain: shown.map(({ name }) => name) },
      color: named(colours),
    },
  );
}

/** Accuracy against confidence, with the diagonal of perfect calibration; dots grow with their counts. */
export function reliability(
  caption: string,
  bins: readonly Bin[],
  colour: string,
  [confidence, accuracy]: readonly [string, string] = ["confidence", "accuracy"],
): string {
  const filled = bins.filter(({ count }) => count > 0);
  if (filled.length === 0) return "";
  return figure(
    caption,
    [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        { stroke: "currentColor", strokeOpacity: 0.35, strokeDasharray: "4 3" },
      ),
      Plot.lineY(filled, { x: "confidence", y: "accuracy", z: null, stroke: colour }),
      Plot.dot(filled, { x: "confidence", y: "accuracy", r: "count", fill: colour, fillOpacity: 0.7 }),
    ],
    {
      x: { label: confidence, domain: [0, 1], grid: true },
      y: { label: accuracy, domain: [0, 1], grid: true },
      r: { range: [2, 9] },
    },
  );
}

/** Points of two dimensions by how many fall into each hexagon; empty when there is nothing to draw. */
export function density(
  caption: string,
  points: readonly (readonly number[])[],
  [xDomain, yDomain]: readonly [readonly [number, number], readonly [number, number]],
): string {
  const shown = points.filter(
    ([x, y]) => x! >= xDomain[0] && x! <= xDomain[1] && y! >= yDomain[0] && y! <= yDomain[1],
  );
  if (shown.length === 0) return "";
  const left = points.length - shown.length;
  return figure(
    left > 0 ? `${caption} (${left} of ${points.length} lie outside)` : caption,
    [
      Plot.dot(
        shown,
        Plot.hexbin({ r: "count", fill: "count" }, { x: (p) => p[0], y: (p) => p[1], binWidth: 9 }),
      ),
    ],
    {
      height: 400,
      x: { label: null, domain: [...xDomain], grid: true },
      y: { label: null, domain: [...yDomain], grid: true },
      r: { range: [0, 4.6] },
      color: { scheme: "viridis", reverse: true },
    },
  );
}

/** Which colour is which, once for all charts. */
export const legend = (colours: Colours): string =>
  `<div class="legend">${[...colours].map(([name, colour]) => `<span><i style="background:${colour}"></i>${escapeHtml(name)}</span>`).join("")}</div>`;
