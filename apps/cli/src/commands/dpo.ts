import { dpoSchema } from "../config/schemas.ts";
import { align } from "../runs/align.ts";
import { type RunOptions, runConfigured, withModel } from "./configured-run.ts";

/** `fdiv dpo`. */
export const alignPolicy = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured({ schema: dpoSchema, run: align, done: withModel() }, path, options);
