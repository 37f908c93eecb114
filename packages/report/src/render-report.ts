import { type Colours, coloursOf, frontier, legend, lines, type Point, reliability } from "./charts.ts";
import { densities, measures, pictures, ratioCalibrations } from "./generator-sections.ts";
import { escapeHtml, section, style, table } from "./html.ts";
import { divergenceOf, type Estimated, type Range, type RunData } from "./run-data.ts";

export interface ReportOptions {
  title?: string;
}

const number = (value: unknown, digits = 3): string =>
  typeof value === "number" && Number.isFinite(value) ? Number(value.toPrecision(digits)).toString() : "–";
const ranged = (range: Range | undefined): string =>
  range ? `${number(range.value)} [${number(range.low)}, ${number(range.high)}]` : "–";
const estimated = (estimate: Estimated | undefined): string =>
  estimate ? `${number(estimate.value)} ± ${number(1.96 * estimate.standardError, 2)}` : "–";

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
    "accuracy before",
    "after",
    "ECE choice",
    "ECE likelihood",
  ];
  return table(
    header,
    runs.map(({ name, config, evaluation }) => [
      name,
      String(config.divergence ?? "–"),
      number(config.beta),
      String(config.seed ?? "–"),
      ranged(evaluation.reward),
      estimated(evaluation.klToReference),
      estimated(evaluation.klFromReference),
      ranged(evaluation.entropy),
      number(evaluation.distinct?.["2"]),
      number(evaluation.selfBleu?.["3"]),
      ranged(evaluation.accuracy?.before),
      ranged(evaluation.accuracy?.after),
      number(evaluation.calibration?.bradleyTerry?.ece),
      number(evaluation.calibration?.meanTokenLikelihood?.ece),
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
] as const;

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
  ].map(([key, axis]) =>
    lines(
      `held out: ${key}`,
      axis!,
      runs.map((run) => curve(run, run.evaluations, key!)),
      colours,
    ),
  );
  return plots([...drawn, ...held]);
}

const plots = (figures: readonly string[]): string => {
  const some = figures.filter(Boolean);
  return some.length === 0 ? "" : `<div class="plots">${some.join("")}</div>`;
};

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

function frontiers(runs: readonly RunData[], colours: Colours): string {
  const points = (x: (run: RunData) => number | undefined, bars: boolean) =>
    runs.flatMap((run) => {
      const { reward, klToReference } = run.evaluation;
      const at = x(run);
      if (!reward || at === undefined) return [];
      const half = bars && klToReference ? 1.96 * klToReference.standardError : Number.NaN;
      return [
        {
          series: divergenceOf(run),
          label: run.config.beta === undefined ? "" : `β ${number(run.config.beta)}`,
          x: at,
          y: reward.value,
          xLow: at - half,
          xHigh: at + half,
          yLow: reward.low,
          yHigh: reward.high,
        },
      ];
    });
  return plots([
    frontier(
      "reward against divergence",
      ["KL(π‖ref), nats", "reward"],
      points((run) => run.evaluation.klToReference?.value, true),
      colours,
    ),
    frontier(
      "reward against entropy",
      ["entropy, nats a token", "reward"],
      points((run) => run.evaluation.entropy?.value, false),
      colours,
    ),
    frontier(
      "reward against distinct-2",
      ["distinct-2", "reward"],
      points((run) => run.evaluation.distinct?.["2"], false),
      colours,
    ),
  ]);
}

function calibration(runs: readonly RunData[], colours: Colours): string {
  return plots(
    runs.flatMap((run) =>
      Object.entries(run.evaluation.calibration ?? {}).map(([kind, { ece, bins }]) =>
        reliability(
          `${run.name}: ${kind === "bradleyTerry" ? "choice between the two answers" : "mean token likelihood"}, ECE ${number(ece)}`,
          bins ?? [],
          colours.get(divergenceOf(run)) ?? "#0072B2",
        ),
      ),
    ),
  );
}

function samples(runs: readonly RunData[]): string {
  const withSamples = runs.filter((run) => run.samples.length > 0);
  if (withSamples.length === 0) return "";
  const prompts = [...new Set(withSamples[0]!.samples.map(({ prompt }) => prompt))].slice(0, 12);
  return table(
    ["prompt", ...withSamples.map(({ name }) => name)],
    prompts.map((prompt) => [
      prompt,
      ...withSamples.map((run) => {
        const found = run.samples.find((sample) => sample.prompt === prompt);
        if (!found) return "–";
        return found.reward === undefined
          ? found.completion
          : `${found.completion}  (${number(found.reward)})`;
      }),
    ]),
    "text",
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
  const byRun = new Map<string, string>();
  const byDivergence = coloursOf(runs.map(divergenceOf));
  // Runs of one divergence share its colour where each has its own; else every run has one.
  const distinct = byDivergence.size === runs.length;
  for (const [i, run] of runs.entries())
    byRun.set(
      run.name,
      distinct
        ? byDivergence.get(divergenceOf(run))!
        : [...coloursOf(runs.map(({ name }) => name)).values()][i]!,
    );
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
      "Summary",
      runs.some(({ evaluation }) => evaluation.generator) ? "" : summary(runs),
      "Brackets are 95 % intervals, ± half of one. Rewards are of samples at temperature 1.",
    ),
    section(
      "Frontiers",
      frontiers(runs, byDivergence) && legend(byDivergence) + frontiers(runs, byDivergence),
    ),
    section("Training", training(runs, byRun) && legend(byRun) + training(runs, byRun)),
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
    section("Samples", samples(runs), "The same prompt, a column a run; the reward in brackets."),
    section("Data", report ? `<pre>${escapeHtml(report)}</pre>` : ""),
    section("What differs between the runs", differences(runs)),
  ].join("");
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><style>${style}</style></head><body><h1>${escapeHtml(title)}</h1><p class="notes">${runs.length} runs: ${escapeHtml(runs.map(({ name }) => name).join(", "))}${notes.length > 0 ? `<br>${escapeHtml(notes.join("; "))}` : ""}</p>${body}</body></html>\n`;
}
