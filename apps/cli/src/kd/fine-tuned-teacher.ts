import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { changedSettings } from "@fdiv/trainer/node";
import { ConfigError, checkConfig } from "../config/config-file.ts";
import { checkRunStart } from "../runs/run-start.ts";
import { isFinished } from "../runs/training-run.ts";
import type { Session } from "../session.ts";
import type { distil } from "./distil.ts";
import { effective } from "./ignored-keys.ts";
import { type KdConfig, kdKeys, kdSchema, settled } from "./kd-schema.ts";

/** What a run's configuration says other than another one, wherever they write. */
async function changesSince(output: string, config: KdConfig): Promise<string[]> {
  const text = await readFile(join(output, "config.json"), "utf8").catch(() => {
    throw new ConfigError(`${output}: there is a model but no config.json of the run that made it.`);
  });
  // Through the schema, so that a key that is newer than that run counts as its default; what had no effect need not be the same.
  const found = settled(checkConfig(kdKeys, JSON.parse(text), join(output, "config.json")));
  return changedSettings(effective(found), { ...effective(config), output: found.output });
}

/** The configuration of the teacher's own run: the same whatever its students learn by. */
function teacherConfig(config: KdConfig): KdConfig {
  const { teacher, output, task, data } = config;
  const { schedule, warmup, weightDecay, beta1, beta2, epsilon, gradientClip } = config;
  const { checkpointEvery, keep, restoreBest, dtype } = config;
  const { fineTune, model, tokenizer } = teacher!;
  return checkConfig(
    kdSchema,
    {
      ...(task && { task }),
      ...(data && { data }),
      student: {
        model,
        ...(tokenizer !== undefined && { tokenizer }),
        ...(fineTune!.lora && { lora: fineTune!.lora }),
      },
      ...(fineTune!.dropout !== undefined && { dropout: fineTune!.dropout }),
      // Without an adapter every weight of it is trained.
      ...(fineTune!.lora && { storage: config.storage }),
      loss: "ce",
      ...{ schedule, warmup, weightDecay, beta1, beta2, epsilon, gradientClip },
      ...{ checkpointEvery, keep, restoreBest, dtype },
      epochs: fineTune!.epochs,
      learningRate: fineTune!.learningRate,
      batchSize: fineTune!.batchSize,
      seed: fineTune!.seed,
      output: fineTune!.output ?? join(output, "teacher"),
    },
    "teacher.fineTune",
  );
}

/**
 * Where the teacher is: as given, or fine-tuned on the task in a run of its own, which is continued where it stopped and taken as it is where
 * it ended.
 *
 * @throws ConfigError when the teacher that is there was made by another configuration
 */
export async function fineTunedTeacher(
  config: KdConfig,
  session: Session,
  { dryRun, distil: run }: { dryRun: boolean; distil: typeof distil },
): Promise<string> {
  const { teacher } = config;
  if (!teacher!.fineTune) return teacher!.model;
  const own = teacherConfig(config);
  const place = join(own.output, "model");
  if (isFinished(own.output)) {
    const changes = await changesSince(own.output, own);
    if (changes.length > 0)
      throw new ConfigError(
        `teacher.fineTune: ${own.output} holds a teacher of another configuration; choose another output, or set teacher.model to ${place}. ` +
          `Changed: ${changes.join("; ")}.`,
      );
    session.say(`the teacher is there already: ${place}`);
    return place;
  }
  if (dryRun) {
    session.say(`would fine-tune the teacher first, into ${own.output}`);
    return teacher!.model;
  }
  session.say(`fine-tuning the teacher into ${own.output}`);
  const resume = existsSync(join(own.output, "metrics.jsonl"));
  await checkRunStart(effective(own), { resume });
  await run(own, session, { resume });
  return place;
}
