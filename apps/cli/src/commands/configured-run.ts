import { statSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { jsonSchema, readConfig } from "../config/config-file.ts";
import { checkRunStart } from "../runs/run-start.ts";
import { type GlobalOptions, openSession, type Session } from "../session.ts";

/** The options of every command whose run one configuration describes. */
export interface RunOptions extends GlobalOptions {
  set: string[];
  resume?: boolean;
  dryRun?: boolean;
  schema?: boolean;
}

/** What such a command does with its configuration. */
export interface ConfiguredRun<S extends z.ZodType<{ output: string }>> {
  schema: S;
  run(config: z.infer<S>, session: Session, flags: { resume: boolean; dryRun: boolean }): Promise<void>;
  /** What of a configuration its run directory keeps; all of it when absent. */
  kept?(config: z.infer<S>): { output: string };
  /** Keys that a run may be continued under another value of. */
  free?: readonly string[];
  /** What is said at the end. */
  done(config: z.infer<S>): string;
}

/** Prints the schema, or reads the configuration (a run directory stands for the one it holds) and runs it in a session. */
export async function runConfigured<S extends z.ZodType<{ output: string }>>(
  { schema, run, kept = (config) => config, free = [], done }: ConfiguredRun<S>,
  path: string | undefined,
  options: RunOptions,
): Promise<void> {
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(schema), null, 2)}\n`);
    return;
  }
  const isRun = path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const config = await readConfig(schema, isRun ? join(path, "config.json") : path, options.set);
  const { resume = false, dryRun = false } = options;
  if (!dryRun) await checkRunStart(kept(config), { resume, free });
  const session = await openSession(options);
  try {
    await run(config, session, { resume, dryRun });
    if (!dryRun) session.say(`done: ${done(config)}`);
  } finally {
    session.close();
  }
}

/** Where a command's model is. */
export const withModel =
  (what = "model") =>
  ({ output }: { output: string }): string =>
    `${output} (the ${what} is in ${join(output, "model")})`;
