import { statSync } from "node:fs";
import { join } from "node:path";
import { jsonSchema, readConfig } from "../config/config-file.ts";
import { approach } from "../dpg/approach.ts";
import { dpgSchema } from "../dpg/dpg-schema.ts";
import { type GlobalOptions, openSession } from "../session.ts";

/** `fdiv dpg`. */
export async function approximateTarget(
  path: string | undefined,
  options: GlobalOptions & { set: string[]; resume?: boolean; dryRun?: boolean; schema?: boolean },
): Promise<void> {
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(dpgSchema), null, 2)}\n`);
    return;
  }
  const isRun = path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const file = isRun ? join(path, "config.json") : path;
  const config = await readConfig(dpgSchema, file, options.set);
  const session = await openSession(options);
  try {
    const dryRun = options.dryRun ?? false;
    await approach(config, session, { resume: options.resume ?? false, dryRun });
    if (!dryRun) session.say(`done: ${config.output} (the model is in ${join(config.output, "model")})`);
  } finally {
    session.close();
  }
}
