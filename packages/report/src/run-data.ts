/** A run as a report shows it; every part may be missing. */
export interface RunData {
  name: string;
  config: Record<string, unknown>;
  /** Training rows, by step. */
  rows: Record<string, number>[];
  /** Evaluations, by step, the `eval/` prefix removed. */
  evaluations: Record<string, number>[];
  /** With a step: drawn in training after it; without: of the last evaluation. */
  samples: { prompt: string; completion: string; reward?: number; step?: number }[];
  evaluation: Evaluation;
  dataReport?: string;
  pictures?: Picture[];
  /** Some of the samples that were drawn over training, by step. */
  previews?: Picture[];
  /** What was missing or malformed. */
  notes: string[];
}

export interface Range {
  value: number;
  low: number;
  high: number;
}

export interface Estimated {
  value: number;
  standardError: number;
}

export interface Bin {
  from: number;
  to: number;
  count: number;
  confidence: number;
  accuracy: number;
}

/** A PNG of a run. */
export interface Picture {
  name: string;
  png: Uint8Array;
}

/** How a generator's samples measure, beside its teacher's and real ones. */
export interface GeneratorEvaluation {
  rows: { name: string; samples: number; figures: Record<string, number> }[];
  /** A learned density ratio's calibration, by noise level. */
  calibration?: { name: string; ece: number; bins: Bin[] }[];
  /** Samples of two dimensions. */
  points?: { name: string; points: number[][] }[];
  /** Share of examples that the classifier, by which samples are measured, tells right. */
  classifierAccuracy?: number;
  /** The noise under which the fake denoiser's picture was made. */
  fakeSigma?: number;
}

/** What `fdiv kd` writes of a student. */
export interface DistillationEvaluation {
  task?: { name: string; split: string; items: number };
  student?: Record<string, Range>;
  teacher?: Record<string, Range>;
  /** On a second split of the task, as MNLI's mismatched one. */
  mismatched?: { student: Record<string, Range>; teacher?: Record<string, Range> };
  nearness?: Record<string, number>;
  heldOut?: Record<string, number>;
  plan?: { lambda: number; plan: number[][]; cost: number[][] };
}

export interface Evaluation {
  distillation?: DistillationEvaluation;
  generator?: GeneratorEvaluation;
  reward?: Range;
  entropy?: Range;
  klToReference?: Estimated;
  klFromReference?: Estimated;
  distinct?: Record<string, number>;
  selfBleu?: Record<string, number>;
  /** `before` and `after` by the model's own log-probabilities, `change` of the same pairs, `reward` by the implicit reward. */
  accuracy?: { before?: Range; after?: Range; change?: Range; reward?: Range };
  calibration?: Record<string, { ece: number; bins: Bin[] }>;
  /** Of quasi-rejection sampling, by β. */
  acceptance?: { beta: number; acceptanceRate: number; forwardKl: number; totalVariation: number }[];
}

/** What a run of PPO says of the penalty that holds it to the reference. */
const penaltyOf = ({ config }: RunData): { place?: unknown; coefficient?: unknown } | undefined =>
  typeof config.penalty === "object" && config.penalty !== null ? config.penalty : undefined;

/** The divergence a run was trained under, or its name where none is known; PPO is named, so that it is told from f-DPO. */
export function divergenceOf(run: RunData): string {
  const name = typeof run.config.divergence === "string" ? run.config.divergence : run.name;
  const penalty = penaltyOf(run);
  return penalty ? `PPO ${name}${penalty.place === "loss" ? " in the loss" : ""}` : name;
}

/** β of the reward that a run's divergence is weighed against: f-DPO's, or PPO's coefficient. */
export function betaOf(run: RunData): number | undefined {
  const beta = run.config.beta ?? penaltyOf(run)?.coefficient;
  return typeof beta === "number" ? beta : undefined;
}
