import { sftSchema } from "../config/schemas.ts";
import { fineTune } from "../runs/fine-tune.ts";
import { type RunOptions, runConfigured, withModel } from "./configured-run.ts";

/** `fdiv sft`. */
export const fineTuneModel = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured({ schema: sftSchema, run: fineTune, done: withModel() }, path, options);
