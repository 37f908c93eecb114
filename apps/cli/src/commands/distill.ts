import { join } from "node:path";
import { distill, freeSettings } from "../distill/distill.ts";
import { distillSchema } from "../distill/distill-schema.ts";
import { type RunOptions, runConfigured } from "./configured-run.ts";

/** `fdiv distill`. */
export const distillTeacher = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured(
    {
      schema: distillSchema,
      run: distill,
      free: freeSettings,
      done: ({ output }) =>
        `${join(output, "report.html")} (the one-step generator is in ${join(output, "generator")})`,
    },
    path,
    options,
  );
