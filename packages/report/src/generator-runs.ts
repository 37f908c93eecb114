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

/** A page's generators. */
export interface Generators {
  variants: Variant[];
  /** Runs that trained a teacher of others. */
  trainers: RunData[];
  /** Those of them that are no variant, as they were there for the teacher alone. */
  teachers: RunData[];
}

const nameOf = (run: RunData): string =>
  run.config.matchingWeight === 0 ? "adversarial only" : divergenceOf(run);

/** A student of fewer steps than this share of those that its teacher taught later was never meant to be looked at. */
const shareOfStudent = 0.1;

const isForTeacherAlone = ({ config: { steps } }: RunData, taught: readonly RunData[]): boolean =>
  typeof steps === "number" &&
  taught.every(({ config }) => typeof config.steps === "number" && steps < shareOfStudent * config.steps);

/** Generators by divergence; a run that was made to train the teacher of others stands for that teacher alone. */
export function generatorsOf(runs: readonly RunData[]): Generators {
  const own = runs.filter((run) => isGenerator(run) && !isDenoiserLog(run));
  const taughtBy = (run: RunData): RunData[] =>
    own.filter((other) => other !== run && isTaughtBy(run, other));
  const trainers = own.filter((run) => taughtBy(run).length > 0);
  const teachers = trainers.filter((run) => isForTeacherAlone(run, taughtBy(run)));
  return {
    variants: variantsOf(
      own.filter((run) => !teachers.includes(run)),
      nameOf,
      ["divergence"],
    ),
    trainers,
    teachers,
  };
}

/** The runs that trained the teachers of a variant. */
export const trainersOf = ({ runs }: Variant, { trainers }: Generators): RunData[] =>
  trainers.filter((trainer) => runs.some((run) => isTaughtBy(trainer, run)));

/** The folders of the teachers that were given as models. */
export const givenTeachers = (runs: readonly RunData[]): string[] => [
  ...new Set(runs.flatMap((run) => teacherOf(run) ?? [])),
];

/** A colour a variant, the same in every chart. */
export const generatorColours = ({ variants }: Generators): Colours =>
  coloursOf(variants.map(({ name }) => name));
