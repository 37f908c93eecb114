import { type Colours, type FrontierPoint, frontier, plots } from "./charts.ts";
import type { Range, RunData } from "./run-data.ts";
import { groupRuns, overSeeds, type RunGroup, seedsOfAPoint } from "./run-groups.ts";

/** What a frontier's horizontal axis shows of a run, with its own interval where it has one. */
type Axis = (run: RunData) => Partial<Range> & { value: number | undefined };

const divergence: Axis = ({ evaluation: { klToReference } }) => {
  const half = klToReference && 1.96 * klToReference.standardError;
  const value = klToReference?.value;
  return { value, ...(half && { low: value! - half, high: value! + half }) };
};
const entropy: Axis = ({ evaluation }) => evaluation.entropy ?? { value: undefined };
const distinct: Axis = ({ evaluation }) => ({ value: evaluation.distinct?.["2"] });
/** Turned round, so that to the right is more diverse, as on the other axes. */
const selfBleu: Axis = ({ evaluation }) => {
  const value = evaluation.selfBleu?.["3"];
  return { value: value === undefined ? undefined : 1 - value };
};

const label = ({ beta }: RunGroup): string => (beta === undefined ? "" : `β ${Number(beta.toPrecision(3))}`);

/** One point with intervals over seeds where there are enough of them; else a point a run, with the intervals of its samples. */
function pointsOf(group: RunGroup, axis: Axis): FrontierPoint[] {
  const series = group.divergence;
  if (group.runs.length >= seedsOfAPoint) {
    const x = overSeeds(group.runs.map((run) => axis(run).value));
    const y = overSeeds(group.runs.map(({ evaluation }) => evaluation.reward?.value));
    if (!x || !y) return [];
    const bars = { xLow: x.low, xHigh: x.high, yLow: y.low, yHigh: y.high };
    return [{ series, label: label(group), x: x.value, y: y.value, ...bars }];
  }
  return group.runs.flatMap((run) => {
    const { reward } = run.evaluation;
    const x = axis(run);
    if (!reward || x.value === undefined) return [];
    const bars = { xLow: x.low, xHigh: x.high, yLow: reward.low, yHigh: reward.high };
    return [{ series, label: label(group), x: x.value, y: reward.value, ...bars }];
  });
}

/** Reward against divergence from the reference and against diversity, a line a divergence, a point a β. */
export function frontiers(runs: readonly RunData[], colours: Colours): string {
  const groups = groupRuns(runs);
  const drawn = (caption: string, xLabel: string, axis: Axis): string =>
    frontier(
      caption,
      [xLabel, "reward"],
      groups.flatMap((group) => pointsOf(group, axis)),
      colours,
    );
  return plots([
    drawn("reward against divergence", "KL(π‖ref), nats a text", divergence),
    drawn("reward against entropy", "entropy, nats a token", entropy),
    drawn("reward against distinct-2", "distinct-2", distinct),
    drawn("reward against self-BLEU-3", "1 − self-BLEU-3", selfBleu),
  ]);
}
