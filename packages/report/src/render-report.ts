import { type Colours, coloursOf, legend, lines, type Point, plots, reliability } from "./charts.ts";
import { distillationCurves, distillations, plans } from "./distillation-sections.ts";
import { frontiers } from "./frontiers.ts";
import { densities, measures, pictures, ratioCalibrations } from "./generator-sections.ts";
import { escapeHtml, number, page, section, table, tableOfKnown } from "./html.ts";
import { betaOf, divergenceOf, type Estimated, type Range, type RunData } from "./run-data.ts";
import { groupName, groupRuns, overSeeds, pooledBins, seedsOfAPoint } from "./run-groups.ts";
import { momentKeys, rejection, samplerCurves } from "./sampler-sections.ts";
import { samples } from "./samples-table.ts";

export interface ReportOptions {
  title?: string;
}

const ranged = (range: Range | undefined): string =>
  range ? `${number(range.value)} [${number(range.low)}, ${number(range.high)}]` : "–";
const estimated = (estimate: Estimated | undefined): string =>
  estimate ? `${number(estimate.value)} ± ${number(1.96 * estimate.standardError, 2)}` : "–";

/** How many runs there are and, where a line holds them, their names; the summary has them all. */
function namesOf(runs: readonly RunData[]): string {
  const count = `${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
  return runs.length > 8 ? count : `${count}: ${runs.map(({ name }) => name).join(", ")}`;
}

function summary(runs: readonly RunData[]): string {
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
function seeds(runs: readonly RunData[]): string {
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

const curve = (run: RunData, rows: readonly Record<string, number>[], key: string): Point[] =>
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
  ["distribution matching", "", "matchingLoss"],
  ["adversarial loss", "nats", "adversarialLoss"],
  ["discriminator", "nats", "discriminatorLoss"],
  ["discriminator's accuracy", "share", "discriminatorAccuracy"],
  ["variance of the weights", "Var(h)/E(h)²", "weightVariance"],
  ["effective samples", "of the batch", "effectiveSamples"],
  ["mean ratio", "p/q", "meanRatio"],
  ["ratios that were clamped", "share", "clampedRatios"],
  ["generator's mean", "", "outputMean"],
  ["generator's deviation", "", "outputDeviation"],
  ...samplerCurves,
] as const;

const sampled: Record<string, string> = {
  "samples/kl": "KL(π‖ref) of samples",
  "samples/entropy": "entropy along samples",
  "samples/reward": "reward of samples",
  "samples/length": "length of samples",
  "samples/distinct-2": "distinct-2 of samples",
};

function training(runs: readonly RunData[], colours: Colours): string {
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

function trends(runs: readonly RunData[], colours: Colours): string {
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

function calibration(runs: readonly RunData[], colours: Colours): string {
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

function differences(runs: readonly RunData[]): string {
  const keys = [...new Set(runs.flatMap(({ config }) => Object.keys(config)))].filter(
    (key) => key !== "output" && new Set(runs.map(({ config }) => JSON.stringify(config[key]))).size > 1,
  );
  if (keys.length === 0) return "";
  return table(
    ["key", ...runs.map(({ name }) => name)],
    keys.map((key) => [key, ...runs.map(({ config }) => JSON.stringify(config[key]) ?? "–")]),
  );
}

/** One self-contained HTML page: no script, no font, no picture from elsewhere. */
export function renderReport(
  runs: readonly RunData[],
  { title = "fdiv report" }: ReportOptions = {},
): string {
  const byDivergence = coloursOf(runs.map(divergenceOf));
  // Runs of one divergence share its colour where each has its own, or where there are too many to tell apart.
  const shares = byDivergence.size === runs.length || runs.length > 7;
  const byName = coloursOf(runs.map(({ name }) => name));
  const byRun: Colours = shares
    ? new Map(runs.map((run) => [run.name, byDivergence.get(divergenceOf(run))!]))
    : byName;
  const runLegend = legend(runs.length > 7 ? byDivergence : byRun);
  const notes = runs.flatMap((run) => run.notes.map((note) => `${run.name}: ${note}`));
  const report = runs.find(({ dataReport }) => dataReport)?.dataReport;
  const body = [
    section(
      "Measures",
      measures(runs),
      "Only rows of equal counts compare; the real row is what as many other real examples score.",
    ),
    section("Images", pictures(runs)),
    section("Densities", densities(runs)),
    section(
      "Distillation",
      distillations(runs),
      "Means over the runs of a loss that differ in their seed alone, ± half of the 95 % interval; of one run the interval over items. Brackets: the teacher.",
    ),
    section("Distillation as it went", distillationCurves(runs, byRun)),
    section(
      "Transport plans",
      plans(runs),
      "Rows are the student's points, columns the teacher's: held-out examples, or tokens that answer. A plan along the diagonal moves each point to its own.",
    ),
    section(
      "Summary",
      runs.some(({ evaluation }) => evaluation.generator ?? evaluation.distillation) ? "" : summary(runs),
      "Brackets are 95 % intervals, ± half of one. Likelihood accuracy ranks the two answers by the model's own log-probabilities, reward accuracy by the implicit reward, which the reference has none of.",
    ),
    section("Over seeds", seeds(runs), "Means over seeds; ± is half of Student's 95 % interval over them."),
    section(
      "Frontiers",
      frontiers(runs, byDivergence) && legend(byDivergence) + frontiers(runs, byDivergence),
      "Bars are 95 % intervals: over seeds where three or more runs differ in nothing else, else over a run's samples.",
    ),
    section("Training", training(runs, byRun) && runLegend + training(runs, byRun)),
    section(
      "Log-probability trends",
      trends(runs, byRun),
      "Both falling together is likelihood displacement: margins grow while the answers themselves fade.",
    ),
    section("Calibration", calibration(runs, byDivergence)),
    section(
      "Calibration of the ratio",
      ratioCalibrations(runs, byRun),
      "Among real and generated examples noised alike: on the diagonal the discriminator's ratio is the true one.",
    ),
    section(
      "Quasi-rejection sampling",
      rejection(runs, byRun),
      "What is left of the distance to the target when the policy's texts pass with probability min(1, p/(βπ)); β beside each point.",
    ),
    section(
      "Samples",
      samples(runs),
      "The same prompt, a column a run; the reward in brackets. Before: what the model said at step 0.",
    ),
    section("Data", report ? `<pre>${escapeHtml(report)}</pre>` : ""),
    section("What differs between the runs", differences(runs)),
  ];
  const told = notes.length > 0 ? `<br>${escapeHtml(notes.join("; "))}` : "";
  return page(title, `${escapeHtml(namesOf(runs))}${told}`, body);
}
