import { statSync } from "node:fs";
import { join } from "node:path";
import { jsonSchema, readConfig } from "../config/config-file.ts";
import { dpoSchema, sftSchema } from "../config/schemas.ts";
import { align } from "../runs/align.ts";
import { fineTune } from "../runs/fine-tune.ts";
import { type GlobalOptions, openSession } from "../session.ts";

interface TrainCommandOptions extends GlobalOptions {
  set: string[];
  resume?: boolean;
  dryRun?: boolean;
  schema?: boolean;
}

/** A run directory stands for the configuration it holds. */
function configFile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, "config.json") : path;
}

/** `fdiv sft` and `fdiv dpo`. */
export async function train(
  method: "sft" | "dpo",
  path: string | undefined,
  options: TrainCommandOptions,
): Promise<void> {
  const schema = method === "dpo" ? dpoSchema : sftSchema;
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(schema), null, 2)}\n`);
    return;
  }
  const file = configFile(path);
  const flags = { resume: options.resume ?? false, dryRun: options.dryRun ?? false };
  const config = await readConfig(schema, file, options.set);
  const session = await openSession(options);
  try {
    if (method === "dpo") await align(await readConfig(dpoSchema, file, options.set), session, flags);
    else await fineTune(await readConfig(sftSchema, file, options.set), session, flags);
    if (!flags.dryRun)
      session.say(`done: ${config.output} (the model is in ${join(config.output, "model")})`);
  } finally {
    session.close();
  }
}
