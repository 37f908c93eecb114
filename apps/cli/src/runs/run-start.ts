import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, changedSettings, listCheckpoints, RunExistsError } from "@fdiv/trainer/node";

/** Keys that a run of any command may be continued under another value of: where it lies, and what is compared by its content later. */
const always: readonly string[] = ["output", "prompts"];

async function settingsOf(output: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(output, "config.json"), "utf8"));
  } catch {
    // What is missing or malformed is the run directory's to report.
    return undefined;
  }
}

/**
 * Refuses, before any model is loaded, what the run directory would refuse after: a run that is there already, or to go on with a checkpoint
 * of another configuration. Whether the data are the same is asked later, when they are read.
 *
 * @param config as the run directory keeps it
 * @param options.free more keys that may have another value
 * @throws RunExistsError, or CheckpointError naming the keys that changed
 */
export async function checkRunStart(
  config: { readonly output: string },
  { resume, free = [] }: { resume: boolean; free?: readonly string[] },
): Promise<void> {
  const { output } = config;
  if (!existsSync(join(output, "metrics.jsonl"))) return;
  if (!resume)
    throw new RunExistsError(
      `${output} already holds a run. Add --resume to continue it, or choose another output.`,
    );
  // Without a checkpoint there is nothing to go on from, and the run begins anew.
  const checkpoints = await listCheckpoints(join(output, "checkpoints"));
  const before = await settingsOf(output);
  if (checkpoints.length === 0 || before === undefined) return;
  const changes = changedSettings(before, config).filter(
    (change) => ![...always, ...free].includes(/^[^. ]*/.exec(change)![0]),
  );
  if (changes.length > 0)
    throw new CheckpointError(
      `${output} was made by a run with another configuration; resume with that, or choose another output. Changed: ${changes.join("; ")}.`,
      "foreign",
    );
}
