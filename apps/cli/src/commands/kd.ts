import { distil } from "../kd/distil.ts";
import { effective } from "../kd/ignored-keys.ts";
import { kdSchema } from "../kd/kd-schema.ts";
import { type RunOptions, runConfigured, withModel } from "./configured-run.ts";

/** `fdiv kd`. */
export const distilKnowledge = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured(
    { schema: kdSchema, run: distil, kept: effective, done: withModel("student") },
    path,
    options,
  );
