import { type Colours, lines, type Point, plots } from "./charts.ts";
import type { RunData } from "./run-data.ts";
import { momentKeys, samplerCurves } from "./sampler-sections.ts";

/** One figure of a log over steps. */
export const curve = (run: RunData, rows: readonly Record<string, number>[], key: string): Point[] =>
  rows
    .filter((row) => row.step !== undefined && row[key] !== undefined)
    .map((row) => ({ series: run.name, x: row.step!, y: row[key]! }));

/** What is drawn of the training log: caption, axis, key; evaluations where they exist. */
const curves = [
  ["loss", "nats", "loss"],
  ["reward margin", "β·(s(chosen) − s(rejected))", "rewards/margins"],
  ["pairs ranked right", "share", "rewards/accuracies"],
  ["chosen reward", "β·s", "rewards/chosen"],
  ["rejected reward", "β·s", "rewards/rejected"],
  ["gradient norm", "before clipping", "gradientNorm"],
  ["learning rate", "", "learningRate"],
  ["saturated scores", "a pair", "saturated"],
  ...samplerCurves,
] as const;

const sampled: Record<string, string> = {
  "samples/kl": "KL(π‖ref) of samples",
  "samples/entropy": "entropy along samples",
  "samples/reward": "reward of samples",
  "samples/length": "length of samples",
  "samples/distinct-2": "distinct-2 of samples",
};

/** What was logged of a policy's training and its evaluations on the way. */
export function training(runs: readonly RunData[], colours: Colours): string {
  const drawn = curves.map(([caption, axis, key]) =>
    lines(
      caption,
      axis,
      runs.map((run) => curve(run, run.rows, key)),
      colours,
    ),
  );
  const held = [
    ["loss", "nats"],
    ["rewards/accuracies", "share"],
    ["rewards/margins", ""],
    ["perplexity", ""],
    ["samples/kl", "nats a text"],
    ["samples/entropy", "nats a token"],
    ["samples/reward", ""],
    ["samples/length", "tokens"],
    ["samples/distinct-2", ""],
  ].map(([key, axis]) =>
    lines(
      sampled[key!] ?? `held out: ${key}`,
      axis!,
      runs.map((run) => curve(run, run.evaluations, key!)),
      colours,
    ),
  );
  const moments = momentKeys(runs).map(([name, key]) =>
    lines(
      `mean of ${name}`,
      "under the policy",
      runs.map((run) => curve(run, run.rows, key)),
      colours,
    ),
  );
  return plots([...drawn, ...moments, ...held]);
}
