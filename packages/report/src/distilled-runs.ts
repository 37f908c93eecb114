import { type Colours, coloursOf } from "./charts.ts";
import type { Figure } from "./comparison.ts";
import type { DistillationEvaluation, Range, RunData } from "./run-data.ts";
import { type Variant, variantsOf } from "./variants.ts";

/** What a run learnt by, as tables name it: its loss, or the weights of its terms. */
function lossOf({ config }: RunData): string {
  const { loss } = config;
  if (typeof loss === "string") return loss;
  return loss !== null && typeof loss === "object"
    ? Object.entries(loss)
        .map(([name, weight]) => `${weight}·${name}`)
        .join(" + ")
    : "–";
}

export const isDistilled = ({ evaluation }: RunData): boolean => evaluation.distillation !== undefined;

/** Students by what they were measured on, as figures of several tasks do not compare; "texts" where there is no task. */
export function byTask(runs: readonly RunData[]): Map<string, RunData[]> {
  const tasks = new Map<string, RunData[]>();
  for (const run of runs) {
    const name = run.evaluation.distillation?.task?.name ?? "texts";
    tasks.set(name, [...(tasks.get(name) ?? []), run]);
  }
  return tasks;
}

/** The runs of students of a larger model by their losses. */
export const lossVariants = (runs: readonly RunData[]): Variant[] =>
  variantsOf(runs.filter(isDistilled), lossOf, ["loss"]);

/** A colour a loss, the same in every chart. */
export const lossColours = (runs: readonly RunData[]): Colours =>
  coloursOf(lossVariants(runs).map(({ name }) => name));

const names: Record<string, string> = {
  f1: "F1",
  "answer-f1": "F1 of answers",
  "macro-f1": "macro F1",
  "text-f1": "F1 of texts",
  matthews: "Matthews' correlation",
  pearson: "Pearson's r",
  spearman: "Spearman's ρ",
  "exact-match": "exact match",
  "text-exact-match": "exact match of texts",
  agreement: "same answer as teacher",
  totalVariation: "total variation to teacher",
  "total-variation": "total variation to teacher",
  forwardKl: "KL(teacher‖student)",
  "forward-kl": "KL(teacher‖student)",
  reverseKl: "KL(student‖teacher)",
  "reverse-kl": "KL(student‖teacher)",
};

/** What a figure of an evaluation or of a log is called on a page. */
export const figureName = (key: string): string => names[key] ?? key;

const keysOf = (
  runs: readonly RunData[],
  pick: (evaluation: DistillationEvaluation) => object | undefined,
): string[] => [
  ...new Set(runs.flatMap(({ evaluation }) => Object.keys(pick(evaluation.distillation ?? {}) ?? {}))),
];

/** An official metric, which the teacher has too. */
export interface TaskFigure extends Figure {
  range: (run: RunData) => Range | undefined;
  teacher: (run: RunData) => Range | undefined;
}

/** The official metrics of the task, with intervals over its items, then those of its mismatched split. */
export function taskFigures(runs: readonly RunData[]): TaskFigure[] {
  type Pick = (
    evaluation: DistillationEvaluation,
    who: "student" | "teacher",
  ) => Record<string, Range> | undefined;
  const figures = (pick: Pick, told: string): TaskFigure[] => {
    const of = (who: "student" | "teacher", key: string) => (run: RunData) =>
      pick(run.evaluation.distillation ?? {}, who)?.[key];
    return keysOf(runs, (evaluation) => pick(evaluation, "student")).map((key) => ({
      name: `${figureName(key)}${told}`,
      of: (run) => of("student", key)(run)?.value,
      range: of("student", key),
      teacher: of("teacher", key),
    }));
  };
  return [
    ...figures((evaluation, who) => evaluation[who], ""),
    ...figures(({ mismatched }, who) => mismatched?.[who], ", mismatched"),
  ];
}

/** How near students came to their teacher on the reported split. */
export const nearnessFigures = (runs: readonly RunData[]): Figure[] =>
  keysOf(runs, ({ nearness }) => nearness).map((key) => ({
    name: figureName(key),
    of: ({ evaluation }) => evaluation.distillation?.nearness?.[key],
  }));

/** Means over the held-out points. */
export const heldOutFigures = (runs: readonly RunData[]): Figure[] =>
  keysOf(runs, ({ heldOut }) => heldOut).map((key) => ({
    name: figureName(key),
    of: ({ evaluation }) => evaluation.distillation?.heldOut?.[key],
  }));
