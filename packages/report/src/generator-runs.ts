import { type Colours, coloursOf } from "./charts.ts";
import { divergenceOf, type RunData } from "./run-data.ts";
import { type Variant, variantsOf } from "./variants.ts";

/** Whether a run made a one-step generator, or the denoiser that teaches one. */
export const isGenerator = ({ config, evaluation }: RunData): boolean =>
  evaluation.generator !== undefined ||
  config.matchingWeight !== undefined ||
  (config.net !== undefined && config.noise !== undefined);

/** The log of a denoiser's own training, which made no generator. */
export const isDenoiserLog = (run: RunData): boolean =>
  isGenerator(run) &&
  run.evaluation.generator === undefined &&
  !run.rows.some((row) => "fakeLoss" in row || "generatorLoss" in row);

const teacherOf = ({ config }: RunData): string | undefined => {
  const { model } = (config.teacher ?? {}) as { model?: unknown };
  return typeof model === "string" ? model : undefined;
};

/** Whether the second run's teacher is the one that the first run trained. */
const isTaughtBy = (teacher: RunData, student: RunData): boolean => {
  const { output } = teacher.config;
  return typeof output === "string" && output !== "" && Boolean(teacherOf(student)?.startsWith(`${output}/`));
};

/** A page's generators: those that are compared, and the runs that were there to train a teacher of theirs. */
export interface Generators {
  variants: Variant[];
  teachers: RunData[];
}

const nameOf = (run: RunData): string =>
  run.config.matchingWeight === 0 ? "adversarial only" : divergenceOf(run);

/** Generators by divergence; a run whose teacher others learn from stands for that teacher alone. */
export function generatorsOf(runs: readonly RunData[]): Generators {
  const own = runs.filter((run) => isGenerator(run) && !isDenoiserLog(run));
  const teachers = own.filter((run) => own.some((other) => other !== run && isTaughtBy(run, other)));
  return {
    variants: variantsOf(
      own.filter((run) => !teachers.includes(run)),
      nameOf,
      ["divergence"],
    ),
    teachers,
  };
}

/** The runs that trained the teachers of a variant. */
export const teachersOf = ({ runs }: Variant, { teachers }: Generators): RunData[] =>
  teachers.filter((teacher) => runs.some((run) => isTaughtBy(teacher, run)));

/** The folders of the teachers that were given as models. */
export const givenTeachers = (runs: readonly RunData[]): string[] => [
  ...new Set(runs.flatMap((run) => teacherOf(run) ?? [])),
];

/** A colour a variant, the same in every chart. */
export const generatorColours = ({ variants }: Generators): Colours =>
  coloursOf(variants.map(({ name }) => name));
