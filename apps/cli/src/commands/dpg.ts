import { approach } from "../dpg/approach.ts";
import { dpgSchema } from "../dpg/dpg-schema.ts";
import { type RunOptions, runConfigured, withModel } from "./configured-run.ts";

/** `fdiv dpg`. */
export const approximateTarget = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured({ schema: dpgSchema, run: approach, done: withModel() }, path, options);
