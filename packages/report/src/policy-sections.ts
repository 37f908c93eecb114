import { type Colours, lines, plots, reliability } from "./charts.ts";
import { number, tableOfKnown } from "./html.ts";
import { betaOf, divergenceOf, type Estimated, type Range, type RunData } from "./run-data.ts";
import { groupName, groupRuns, overSeeds, pooledBins, seedsOfAPoint } from "./run-groups.ts";
import { curve } from "./training-curves.ts";

const ranged = (range: Range | undefined): string =>
  range ? `${number(range.value)} [${number(range.low)}, ${number(range.high)}]` : "–";
const estimated = (estimate: Estimated | undefined): string =>
  estimate ? `${number(estimate.value)} ± ${number(1.96 * estimate.standardError, 2)}` : "–";

/** What each policy came to, a row a run. */
export function summary(runs: readonly RunData[]): string {
  const header = [
    "run",
    "divergence",
    "β",
    "seed",
    "reward",
    "KL(π‖ref)",
    "KL(ref‖π)",
    "entropy",
    "distinct-2",
    "self-BLEU-3",
    "likelihood accuracy before",
    "after",
    "reward accuracy",
    "ECE choice",
    "ECE likelihood",
  ];
  return tableOfKnown(
    header,
    runs.map(({ evaluation, ...run }) => [
      run.name,
      run.config.divergence === undefined ? "–" : divergenceOf({ ...run, evaluation }),
      number(betaOf({ ...run, evaluation })),
      String(run.config.seed ?? "–"),
      ranged(evaluation.reward),
      estimated(evaluation.klToReference),
      estimated(evaluation.klFromReference),
      ranged(evaluation.entropy),
      number(evaluation.distinct?.["2"]),
      number(evaluation.selfBleu?.["3"]),
      ranged(evaluation.accuracy?.before),
      ranged(evaluation.accuracy?.after),
      ranged(evaluation.accuracy?.reward),
      number(evaluation.calibration?.bradleyTerry?.ece),
      number(evaluation.calibration?.meanTokenLikelihood?.ece),
    ]),
  );
}

/** Means over seeds, a row a divergence and β; nothing unless there are seeds enough. */
export function seeds(runs: readonly RunData[]): string {
  const groups = groupRuns(runs).filter((group) => group.runs.length >= seedsOfAPoint);
  if (groups.length === 0) return "";
  const columns: [string, (run: RunData) => number | undefined][] = [
    ["reward", ({ evaluation }) => evaluation.reward?.value],
    ["KL(π‖ref)", ({ evaluation }) => evaluation.klToReference?.value],
    ["KL(ref‖π)", ({ evaluation }) => evaluation.klFromReference?.value],
    ["entropy", ({ evaluation }) => evaluation.entropy?.value],
    ["distinct-2", ({ evaluation }) => evaluation.distinct?.["2"]],
    ["self-BLEU-3", ({ evaluation }) => evaluation.selfBleu?.["3"]],
    ["reward accuracy", ({ evaluation }) => evaluation.accuracy?.reward?.value],
    ["ECE choice", ({ evaluation }) => evaluation.calibration?.bradleyTerry?.ece],
  ];
  const interval = (range: Range | undefined): string =>
    range ? `${number(range.value)} ± ${number(range.high - range.value, 2)}` : "–";
  return tableOfKnown(
    ["divergence, β", ...columns.map(([name]) => name)],
    groups.map((group) => [
      groupName(group),
      ...columns.map(([, of]) => interval(overSeeds(group.runs.map(of)))),
    ]),
  );
}

/** The log-probabilities of held-out answers over training. */
export function trends(runs: readonly RunData[], colours: Colours): string {
  return plots(
    (["chosen", "rejected"] as const).map((side) =>
      lines(
        `held-out log-probability of the ${side} answers`,
        "nats",
        runs.map((run) => curve(run, run.evaluations, `logps/${side}`)),
        colours,
      ),
    ),
  );
}

/** More figures than these are pooled, the runs of one divergence and β together. */
const mostCalibrations = 8;

/** Accuracy against confidence, a figure a run or, of many runs, a divergence and β. */
export function calibration(runs: readonly RunData[], colours: Colours): string {
  const pools = runs.length > mostCalibrations;
  const groups = pools ? groupRuns(runs) : runs.flatMap((run) => groupRuns([run]));
  return plots(
    groups.flatMap((group) => {
      const kinds = [...new Set(group.runs.flatMap((run) => Object.keys(run.evaluation.calibration ?? {})))];
      return kinds.map((kind) => {
        const of = group.runs.flatMap(({ evaluation }) => evaluation.calibration?.[kind] ?? []);
        const { ece, bins } = of.length === 1 ? of[0]! : pooledBins(of.map((one) => one.bins));
        const name = pools ? groupName(group) : group.runs[0]!.name;
        const what = kind === "bradleyTerry" ? "choice between the two answers" : "mean token likelihood";
        return reliability(
          `${name}: ${what}, ECE ${number(ece)}`,
          bins,
          colours.get(divergenceOf(group.runs[0]!)) ?? "#0072B2",
        );
      });
    }),
  );
}
