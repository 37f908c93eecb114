import * as Plot from "@observablehq/plot";
import { type Colours, figure, named, type Point, tickFormatOf } from "./charts.ts";
import type { RunData } from "./run-data.ts";
import type { Variant } from "./variants.ts";

interface Bucket {
  series: string;
  x: number;
  y: number;
  low: number;
  high: number;
}

const mostBuckets = 100;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Runs of one setting as one line: means within a stretch of steps, then over runs, with the lowest and highest of the runs' means. */
export function seedBuckets(series: string, runs: readonly (readonly Point[])[]): Bucket[] {
  const finite = runs.map((points) => points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
  const steps = [...new Set(finite.flat().map(({ x }) => x))].sort((a, b) => a - b);
  const size = Math.max(1, Math.ceil(steps.length / mostBuckets));
  const bucketOf = new Map(steps.map((x, i) => [x, Math.floor(i / size)]));
  const buckets = Array.from({ length: Math.ceil(steps.length / size) }, () => runs.map((): Point[] => []));
  finite.forEach((points, r) => {
    for (const point of points) buckets[bucketOf.get(point.x)!]![r]!.push(point);
  });
  return buckets.map((byRun) => {
    const filled = byRun.filter((points) => points.length > 0);
    const means = filled.map((points) => mean(points.map(({ y }) => y)));
    return {
      series,
      x: mean(filled.flat().map(({ x }) => x)),
      y: mean(means),
      low: Math.min(...means),
      high: Math.max(...means),
    };
  });
}

/** A line a variant over steps, in a band from its lowest to its highest seed; empty when there is nothing to draw. */
export function seedCurves(
  caption: string,
  yLabel: string,
  variants: readonly Variant[],
  pointsOf: (run: RunData) => Point[],
  colours: Colours,
): string {
  const lines = variants.flatMap(({ name, runs }) => seedBuckets(name, runs.map(pointsOf)));
  if (lines.length === 0) return "";
  const banded = lines.filter(({ low, high }) => high > low);
  const values = lines.flatMap(({ low, high }) => [low, high]);
  return figure(
    caption,
    [
      Plot.areaY(banded, { x: "x", y1: "low", y2: "high", z: "series", fill: "series", fillOpacity: 0.14 }),
      Plot.lineY(lines, { x: "x", y: "y", z: "series", stroke: "series", strokeWidth: 1.6 }),
      ...(lines.length < 60 ? [Plot.dot(lines, { x: "x", y: "y", fill: "series", r: 2 })] : []),
    ],
    {
      x: { label: "step" },
      y: { label: yLabel, grid: true, nice: true, ...tickFormatOf(values) },
      color: named(colours),
    },
  );
}
