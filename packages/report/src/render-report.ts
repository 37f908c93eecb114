import { type Colours, coloursOf, legend } from "./charts.ts";
import { distillationCurves } from "./distillation-curves.ts";
import { distillations, distilledRuns } from "./distillation-sections.ts";
import { byTask, isDistilled, lossVariants } from "./distilled-runs.ts";
import { frontiers } from "./frontiers.ts";
import { denoiserCurves, generatorCurves } from "./generator-curves.ts";
import { health } from "./generator-health.ts";
import { measures } from "./generator-measures.ts";
import { generatorsOf, isDenoiserLog, isGenerator } from "./generator-runs.ts";
import { densities, ratioCalibrations } from "./generator-sections.ts";
import { escapeHtml, page, section } from "./html.ts";
import { pictures, previews } from "./pictures.ts";
import { calibration, seeds, summary, trends } from "./policy-sections.ts";
import { divergenceOf, type RunData } from "./run-data.ts";
import { rejection } from "./sampler-sections.ts";
import { samples } from "./samples-table.ts";
import { settingDifferences } from "./setting-differences.ts";
import { training } from "./training-curves.ts";
import { plans } from "./transport-plans.ts";
import type { Variant } from "./variants.ts";

export interface ReportOptions {
  title?: string;
  /** The loss or divergence of a sweep, as its table names it, that the others are held against seed by seed. */
  against?: string;
}

/** How many runs there are and, where a line holds them, their names; the summary has them all. */
function namesOf(runs: readonly RunData[]): string {
  const count = `${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
  return runs.length > 8 ? count : `${count}: ${runs.map(({ name }) => name).join(", ")}`;
}

const curvesTold =
  "Lines are means over seeds, bands reach from the lowest to the highest seed; long logs are averaged over a hundredth of the steps.";

/** Students of a larger model on one task, whose name stands in the titles where there are several. */
const studentSections = (runs: readonly RunData[], task: string, against?: string): string[] => [
  section(
    `Distillation${task}`,
    distillations(runs, against),
    "± is half of Student's 95 % interval over seeds; brackets are 95 % intervals over the items of one run, or of the teacher.",
  ),
  section(`Distillation as it went${task}`, distillationCurves(runs), curvesTold),
  section(
    `Transport plans${task}`,
    plans(runs),
    "Of each loss's first run. Rows are the student's points, columns the teacher's: held-out examples, or tokens that answer. A plan along the diagonal moves each point to its own.",
  ),
  section(`Runs${task}`, distilledRuns(runs)),
];

/** One-step generators and their teachers. */
const generatorSections = (runs: readonly RunData[], against?: string): string[] => [
  section(
    "Measures",
    measures(runs, against),
    "Only rows of equal counts compare; the real row is what as many other real examples score. ± is half of Student's 95 % interval over seeds.",
  ),
  section("Images", pictures(runs)),
  section(
    "Samples over training",
    previews(runs),
    "From the same noise each time, by the weights of that step.",
  ),
  section("Densities", densities(runs)),
  section(
    "Training",
    generatorCurves(runs),
    `${curvesTold} One figure a net: the generator steps less often than the others.`,
  ),
  section("The teacher's training", denoiserCurves(runs)),
  section(
    "Calibration of the ratio",
    ratioCalibrations(runs),
    "Among real and generated examples noised alike: on the diagonal the discriminator's ratio is the true one. Seeds are pooled.",
  ),
  section(
    "Runs",
    health(runs),
    "Shares and speeds are means over steps; where many ratios, logits or weights are cut, the learning signal is not what the divergence asks for.",
  ),
];

/** Policies: aligned, fine-tuned, or trained to a target. */
function policySections(runs: readonly RunData[]): string[] {
  if (runs.length === 0) return [];
  const byDivergence = coloursOf(runs.map(divergenceOf));
  // Runs of one divergence share its colour where each has its own, or where there are too many to tell apart.
  const shares = byDivergence.size === runs.length || runs.length > 7;
  const byRun: Colours = shares
    ? new Map(runs.map((run) => [run.name, byDivergence.get(divergenceOf(run))!]))
    : coloursOf(runs.map(({ name }) => name));
  const runLegend = legend(runs.length > 7 ? byDivergence : byRun);
  return [
    section(
      "Summary",
      summary(runs),
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
      "Quasi-rejection sampling",
      rejection(runs, byRun),
      "What is left of the distance to the target when the policy's texts pass with probability min(1, p/(βπ)); β beside each point.",
    ),
    section(
      "Samples",
      samples(runs),
      "The same prompt, a column a run; the reward in brackets. Before: what the model said at step 0.",
    ),
  ];
}

function checkReference(against: string, variants: readonly Variant[]): void {
  const names = [...new Set(variants.map(({ name }) => name))];
  if (!names.includes(against))
    throw new RangeError(
      `There is no "${against}" to hold the others against; ${names.length > 0 ? `there are: ${names.map((name) => `"${name}"`).join(", ")}` : "no run here is of a student or of a generator"}.`,
    );
}

/**
 * One self-contained HTML page: no script, no font, no picture from elsewhere.
 *
 * @throws RangeError where no loss or divergence has the name of `against`
 */
export function renderReport(
  runs: readonly RunData[],
  { title = "fdiv report", against }: ReportOptions = {},
): string {
  const notes = runs.flatMap((run) => run.notes.map((note) => `${run.name}: ${note}`));
  const report = runs.find(({ dataReport }) => dataReport)?.dataReport;
  // The log of a teacher's own training goes with the run that it belongs to.
  const made = runs.filter((run) => !isDenoiserLog(run));
  const generators = runs.filter(isGenerator);
  const students = runs.filter((run) => isDistilled(run) && !isGenerator(run));
  const policies = runs.filter((run) => !isDistilled(run) && !isGenerator(run));
  const tasks = byTask(students);
  if (against !== undefined)
    checkReference(against, [
      ...generatorsOf(generators).variants,
      ...[...tasks.values()].flatMap(lossVariants),
    ]);
  const body = [
    ...generatorSections(generators, against),
    ...[...tasks].flatMap(([task, own]) => studentSections(own, tasks.size > 1 ? `: ${task}` : "", against)),
    ...policySections(policies),
    section("Data", report ? `<pre>${escapeHtml(report)}</pre>` : ""),
    section("What differs between the runs", settingDifferences(made), "Settings but for seeds and places."),
  ];
  const told = notes.length > 0 ? `<br>${escapeHtml(notes.join("; "))}` : "";
  return page(title, `${escapeHtml(namesOf(made.length > 0 ? made : runs))}${told}`, body);
}
