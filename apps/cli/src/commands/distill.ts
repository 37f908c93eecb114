import { statSync } from "node:fs";
import { join } from "node:path";
import { jsonSchema, readConfig } from "../config/config-file.ts";
import { distill } from "../distill/distill.ts";
import { distillSchema } from "../distill/distill-schema.ts";
import { type GlobalOptions, openSession } from "../session.ts";

/** `fdiv distill`. */
export async function distillTeacher(
  path: string | undefined,
  options: GlobalOptions & { set: string[]; resume?: boolean; dryRun?: boolean; schema?: boolean },
): Promise<void> {
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(distillSchema), null, 2)}\n`);
    return;
  }
  const isRun = path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const file = isRun ? join(path, "config.json") : path;
  const config = await readConfig(distillSchema, file, options.set);
  const session = await openSession(options);
  try {
    const dryRun = options.dryRun ?? false;
    await distill(config, session, { resume: options.resume ?? false, dryRun });
    if (!dryRun)
      session.say(
        `done: ${join(config.output, "report.html")} (the one-step generator is in ${join(config.output, "generator")})`,
      );
  } finally {
    session.close();
  }
}
