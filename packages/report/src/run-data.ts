/** A run as a report shows it; every part may be missing. */
export interface RunData {
  name: string;
  config: Record<string, unknown>;
  /** Training rows, by step. */
  rows: Record<string, number>[];
  /** Evaluations, by step, the `eval/` prefix removed. */
  evaluations: Record<string, number>[];
  samples: { prompt: string; completion: string; reward?: number }[];
  evaluation: Evaluation;
  dataReport?: string;
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

export interface Evaluation {
  reward?: Range;
  entropy?: Range;
  klToReference?: Estimated;
  klFromReference?: Estimated;
  distinct?: Record<string, number>;
  selfBleu?: Record<string, number>;
  accuracy?: { before?: Range; after?: Range; pairs?: number };
  calibration?: Record<string, { ece: number; bins: Bin[] }>;
}

/** The divergence a run was trained under, or its name where none is known. */
export const divergenceOf = (run: RunData): string =>
  typeof run.config.divergence === "string" ? run.config.divergence : run.name;
