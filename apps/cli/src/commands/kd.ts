import { statSync } from "node:fs";
import { join } from "node:path";
import { jsonSchema, readConfig } from "../config/config-file.ts";
import { distil } from "../kd/distil.ts";
import { kdSchema } from "../kd/kd-schema.ts";
import { type GlobalOptions, openSession } from "../session.ts";

/** `fdiv kd`. */
export async function distilKnowledge(
  path: string | undefined,
  options: GlobalOptions & { set: string[]; resume?: boolean; dryRun?: boolean; schema?: boolean },
): Promise<void> {
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(kdSchema), null, 2)}\n`);
    return;
  }
  const isRun = path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const config = await readConfig(kdSchema, isRun ? join(path, "config.json") : path, options.set);
  const session = await openSession(options);
  try {
    const dryRun = options.dryRun ?? false;
    await distil(config, session, { resume: options.resume ?? false, dryRun });
    if (!dryRun) session.say(`done: ${config.output} (the student is in ${join(config.output, "model")})`);
  } finally {
    session.close();
  }
}
