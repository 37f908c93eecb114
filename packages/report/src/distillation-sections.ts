import { comparison, inBrackets, meanAndHalf, referenceOf, seedDifferences } from "./comparison.ts";
import {
  heldOutFigures,
  isDistilled,
  lossColours,
  lossVariants,
  nearnessFigures,
  type TaskFigure,
  taskFigures,
} from "./distilled-runs.ts";
import { heading, number, remark, table } from "./html.ts";
import { intervalCharts } from "./interval-charts.ts";
import type { Range, RunData } from "./run-data.ts";
import { overSeeds } from "./run-groups.ts";
import { timeAndMemory } from "./time-and-memory.ts";

/** One run of each teacher on the page: one, where all students have the same, whose intervals vary with the seed that drew them. */
function teachersOf(runs: readonly RunData[], figures: readonly TaskFigure[]): RunData[] {
  const key = (run: RunData): string => JSON.stringify(figures.map(({ teacher }) => teacher(run)?.value));
  const having = runs.filter((run) => figures.some(({ teacher }) => teacher(run)));
  return [...new Map([...having].reverse().map((run) => [key(run), run])).values()].reverse();
}

/** The teacher's metric: over items where there is one teacher, over teachers where there are several. */
function teacherRange(teachers: readonly RunData[], { teacher }: TaskFigure): Range | undefined {
  const [first] = teachers;
  return teachers.length > 1
    ? overSeeds(teachers.map((run) => teacher(run)?.value))
    : first && teacher(first);
}

function teacherRow(
  teachers: readonly RunData[],
  figures: readonly TaskFigure[],
  columns: number,
): string[][] {
  if (teachers.length === 0) return [];
  const several = teachers.length > 1;
  const cells = figures.map((figure) => {
    const range = teacherRange(teachers, figure);
    if (!range) return "–";
    return several ? meanAndHalf(range) : inBrackets(range);
  });
  const row = [several ? `teachers (${teachers.length})` : "teacher", "–", ...cells];
  return [[...row, ...new Array<string>(columns - cells.length).fill("–")]];
}

function taskNote(runs: readonly RunData[]): string {
  const tasks = runs.flatMap(({ evaluation }) => evaluation.distillation?.task ?? []);
  const told = new Set(tasks.map(({ name, split, items }) => `${name}, ${split} split, ${items} items`));
  return told.size > 0 ? remark(`Measured on ${[...told].join("; ")}.`) : "";
}

const mostCharts = 6;

/** A row a loss: the task's metrics and how near students came to their teacher, with what the losses differ by, seed by seed. */
export function distillations(runs: readonly RunData[], against?: string): string {
  const variants = lossVariants(runs);
  if (variants.length === 0) return "";
  const own = variants.flatMap((variant) => variant.runs);
  const official = taskFigures(own);
  const onTask = [...official, ...nearnessFigures(own)];
  const held = heldOutFigures(own);
  const figures = onTask.length > 0 ? onTask : held;
  const teachers = teachersOf(own, official);
  const teacher = teacherRow(teachers, official, figures.length);
  const reference = referenceOf(variants, ["sinkhorn", "ce"], against);
  const differences = seedDifferences("loss", variants, reference, figures);
  return [
    taskNote(own),
    comparison("loss", variants, figures, teacher),
    differences &&
      `${heading(`Difference to ${reference.name}, seed by seed`)}${remark(
        "An interval that leaves out 0 tells the two losses apart; of many such comparisons one in twenty does by chance.",
      )}${differences}`,
    variants.length > 1
      ? intervalCharts(variants, figures.slice(0, mostCharts), lossColours(runs), (figure) => {
          const metric = official.find((one) => one === figure);
          return metric && teacherRange(teachers, metric);
        })
      : "",
    onTask.length > 0 && held.length > 0
      ? heading("On held-out examples of the training split") + comparison("loss", variants, held)
      : "",
  ].join("");
}

/** Each run by itself, small: where one seed stands out it is seen here. */
export function distilledRuns(runs: readonly RunData[]): string {
  const variants = lossVariants(runs);
  const own = runs.filter(isDistilled);
  if (own.length < 2) return "";
  const figures = [...taskFigures(own), ...nearnessFigures(own)];
  const shown = figures.length > 0 ? figures : heldOutFigures(own);
  const costs = timeAndMemory(own);
  return table(
    ["run", "loss", "seed", ...shown.map(({ name }) => name), ...costs.map(({ name }) => name)],
    variants.flatMap(({ name, runs: seeds }) =>
      seeds.map((run) => [
        run.name,
        name,
        String(run.config.seed ?? "–"),
        ...shown.map(({ of, range }) => {
          const interval = range?.(run);
          return interval ? inBrackets(interval) : number(of(run));
        }),
        ...costs.map(({ of }) => of(run)),
      ]),
    ),
    "small",
  );
}
