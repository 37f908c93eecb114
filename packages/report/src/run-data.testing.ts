import type { RunData } from "./index.ts";

/** A run of which nothing is known but how it was configured. */
export const bareRun = (name: string, config: Record<string, unknown>): RunData => ({
  name,
  config,
  rows: [],
  evaluations: [],
  samples: [],
  evaluation: {},
  notes: [],
});
