import { type Colours, frontier, plots } from "./charts.ts";
import type { RunData } from "./run-data.ts";

/** What is drawn of the log of a run that learns from samples of its own (f-DPG, PPO): caption, axis, key. */
export const samplerCurves = [
  ["reward of samples", "E r under the policy", "reward"],
  ["divergence trained under", "nats", "divergence"],
  ["KL(p‖π)", "nats", "forward-kl"],
  ["KL(π‖p)", "nats", "reverse-kl"],
  ["total variation to the target", "", "total-variation"],
  ["Jensen–Shannon to the target", "nats", "jensen-shannon"],
  ["KL(π‖base)", "nats", "kl-to-base"],
  ["entropy of a text", "nats", "entropy"],
  ["log Z", "nats", "log-z"],
  ["effective samples", "of π/q", "effective-samples"],
  ["samples that the target accepts", "share", "accepted"],
  ["penalty's coefficient", "β", "coefficient"],
  ["variance that values explain", "share", "explained-variance"],
  ["clipped ratios", "share of tokens", "clipped"],
  ["move of a step", "KL(old‖new) a token", "approximate-kl"],
] as const;

const prefix = "moments/";

/** The features whose means the logs hold: name and key. */
export const momentKeys = (runs: readonly RunData[]): [name: string, key: string][] =>
  [...new Set(runs.flatMap(({ rows }) => Object.keys(rows.at(-1) ?? {})))]
    .filter((key) => key.startsWith(prefix) && !key.endsWith("/se"))
    .map((key) => [key.slice(prefix.length), key]);

/** How much nearer to the target the policy's texts come when some are rejected, and how many pass. */
export function rejection(runs: readonly RunData[], colours: Colours): string {
  const points = (y: "forwardKl" | "totalVariation") =>
    runs.flatMap((run) =>
      (run.evaluation.acceptance ?? []).map((point) => ({
        series: run.name,
        label: String(point.beta),
        x: point.acceptanceRate,
        y: point[y],
      })),
    );
  return plots([
    frontier("KL(p‖p_β)", ["texts accepted, share", "nats"], points("forwardKl"), colours),
    frontier("TV(p, p_β)", ["texts accepted, share", ""], points("totalVariation"), colours),
  ]);
}
