import { type Colours, heatMap, legend, lines, type Point } from "./charts.ts";
import { table } from "./html.ts";
import type { DistillationEvaluation, RunData } from "./run-data.ts";
import { overSeeds } from "./run-groups.ts";

const distilled = (runs: readonly RunData[]): [RunData, DistillationEvaluation][] =>
  runs.flatMap((run): [RunData, DistillationEvaluation][] =>
    run.evaluation.distillation ? [[run, run.evaluation.distillation]] : [],
  );

/** What a run learnt by, as the table names it: its loss, or the weights of its terms. */
function lossOf({ config }: RunData): string {
  const { loss } = config;
  if (typeof loss === "string") return loss;
  return loss !== null && typeof loss === "object"
    ? Object.entries(loss)
        .map(([name, weight]) => `${weight}·${name}`)
        .join(" + ")
    : "–";
}

/** Runs that differ in seed and place alone. */
function bySeed(runs: readonly RunData[]): [RunData, DistillationEvaluation][][] {
  const groups = new Map<string, [RunData, DistillationEvaluation][]>();
  for (const one of distilled(runs)) {
    const { seed: _, output: __, ...rest } = one[0].config;
    const key = JSON.stringify(rest);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

/** A mean with half of its 95 % interval, which one run has none of. */
function shown(values: readonly number[]): string {
  const range = overSeeds(values);
  return range
    ? `${range.value.toFixed(4)} ± ${((range.high - range.low) / 2).toFixed(4)}`
    : (values[0] ?? Number.NaN).toFixed(4);
}

/** A row a loss: the task's metrics, and how near the student came to its teacher. */
export function distillations(runs: readonly RunData[]): string {
  const groups = bySeed(runs);
  if (groups.length === 0) return "";
  const keys = (pick: (evaluation: DistillationEvaluation) => object | undefined): string[] => [
    ...new Set(groups.flat().flatMap(([, evaluation]) => Object.keys(pick(evaluation) ?? {}))),
  ];
  const [metrics, near, held] = [
    keys(({ student }) => student),
    keys(({ nearness }) => nearness),
    keys(({ heldOut }) => heldOut),
  ];
  const cell = (
    group: readonly [RunData, DistillationEvaluation][],
    pick: (evaluation: DistillationEvaluation) => number | undefined,
  ): string => {
    const values = group.map(([, evaluation]) => pick(evaluation)).filter((value) => value !== undefined);
    return values.length > 0 ? shown(values) : "–";
  };
  const figure = (group: readonly [RunData, DistillationEvaluation][], metric: string): string => {
    const [[, { student, teacher }]] = group as [[RunData, DistillationEvaluation]];
    const range = student?.[metric];
    const own =
      group.length === 1 && range
        ? `${range.value.toFixed(4)} in ${range.low.toFixed(4)} to ${range.high.toFixed(4)}`
        : cell(group, (evaluation) => evaluation.student?.[metric]?.value);
    return teacher?.[metric] ? `${own}  [${teacher[metric].value.toFixed(4)}]` : own;
  };
  return table(
    ["loss", "runs", "task", ...metrics, ...near, ...held.map((name) => `held-out ${name}`)],
    groups.map((group) => {
      const [[run, { task }]] = group as [[RunData, DistillationEvaluation]];
      return [
        lossOf(run),
        group.map(([{ name }]) => name).join(", "),
        task ? `${task.name} ${task.split} (${task.items})` : "texts",
        ...metrics.map((metric) => figure(group, metric)),
        ...near.map((name) => cell(group, ({ nearness }) => nearness?.[name])),
        ...held.map((name) => cell(group, ({ heldOut }) => heldOut?.[name])),
      ];
    }),
  );
}

const curve = (run: RunData, rows: readonly Record<string, number>[], key: string): Point[] =>
  rows
    .filter((row) => row.step !== undefined && row[key] !== undefined)
    .map((row) => ({ series: run.name, x: row.step!, y: row[key]! }));

/** Each term of the losses over training, and each figure of the held-out items. */
export function distillationCurves(runs: readonly RunData[], colours: Colours): string {
  const own = distilled(runs).map(([run]) => run);
  const names = (
    rows: (run: RunData) => Record<string, number>[],
    fits: (key: string) => boolean,
  ): string[] => [
    ...new Set(own.flatMap((run) => rows(run).flatMap((row) => Object.keys(row).filter(fits)))),
  ];
  const terms = names(
    ({ rows }) => rows,
    (key) => key.startsWith("terms/"),
  );
  const held = names(
    ({ evaluations }) => evaluations,
    (key) => key !== "step",
  );
  const drawn = [
    ...terms.map((key) =>
      lines(
        `term ${key.slice("terms/".length)}`,
        "a point",
        own.map((run) => curve(run, run.rows, key)),
        colours,
      ),
    ),
    ...held.map((key) =>
      lines(
        `held-out ${key}`,
        "",
        own.map((run) => curve(run, run.evaluations, key)),
        colours,
      ),
    ),
  ].join("");
  return drawn === "" ? "" : `${legend(colours)}<div class="plots">${drawn}</div>`;
}

const mostPlans = 12;

/** Plans between student and teacher, and the costs under them, of one run a loss. */
export function plans(runs: readonly RunData[]): string {
  const drawn = bySeed(runs)
    .flatMap(([first]) => (first?.[1].plan ? [[first[0], first[1].plan] as const] : []))
    .slice(0, mostPlans)
    .map(([run, { lambda, plan, cost }]) =>
      [
        heatMap(`${run.name}: plan, λ = ${lambda}`, plan, ["student", "teacher"]),
        heatMap(`${run.name}: cost`, cost, ["student", "teacher"]),
      ].join(""),
    )
    .join("");
  return drawn === "" ? "" : `<div class="plots">${drawn}</div>`;
}
