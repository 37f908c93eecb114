import { DataError, holdOut, type Task, type TaskItem, type TokenText, task as taskByName } from "@fdiv/data";
import { findTaskFile, readTask, sameFile, type TaskSplit, taskFile } from "@fdiv/data/node";
import { ConfigError } from "../config/config-file.ts";
import { demonstrationDataset } from "../runs/datasets.ts";
import type { Session } from "../session.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";

type TaskConfig = NonNullable<KdConfig["task"]>;

/** A task's items: to train on, to choose checkpoints by, and to report. */
export interface KdItems {
  task: Task;
  train: TaskItem[];
  held: TaskItem[];
  reported: TaskItem[];
  /** MNLI's other genres, reported beside. */
  mismatched?: TaskItem[];
  text: string;
}

/** Checkpoints of all seeds are chosen by the same items. */
const holdOutSeed = 0;

/** The split of other genres that is reported beside, where the task has one and its file is there. */
async function mismatchedSplit(config: TaskConfig, task: Task): Promise<TaskSplit | undefined> {
  const split = `${config.report}_mismatched` as const;
  if (task.name === "mnli") return (await findTaskFile(config, split)) ? split : undefined;
  if (config.files?.validation_mismatched ?? config.files?.test_mismatched)
    throw new ConfigError(`task.files: ${task.name} has no mismatched split, MNLI alone has; leave it out.`);
  return undefined;
}

/** @throws ConfigError where a reported file is the one that is trained on */
async function checkFiles(config: TaskConfig, reported: readonly TaskSplit[]): Promise<void> {
  const train = await taskFile(config, "train");
  for (const split of reported) {
    const file = await taskFile(config, split);
    if (await sameFile(train, file))
      throw new ConfigError(
        `task: ${file} is the training file, and can't be reported as ${split} too; give task.files.${split} a file that is not trained on.`,
      );
  }
}

/** Reads a task, holding items of its training split out. */
export async function kdItems(config: TaskConfig, session: Session): Promise<KdItems> {
  const task = taskByName(config.name);
  const other = await mismatchedSplit(config, task);
  await checkFiles(config, other ? [config.report, other] : [config.report]);
  let skipped = 0;
  const read = (split: TaskSplit, limit?: number) =>
    readTask(task, config, split, {
      onError: config.onError,
      onSkip: (error) => {
        if (skipped++ < 3) session.warn(`skipped ${error.message}`);
      },
      labelled: true,
      onUnlabelled: (count, file) => session.warn(`${file}: left ${count} items out that have no label`),
      ...(limit !== undefined && { limit }),
    });
  const judged = (split: TaskSplit) =>
    read(split).catch((error: unknown) => {
      if (!(error instanceof DataError) || config.report !== "test") throw error;
      throw new DataError(`${error.message} Test splits are given without; report the validation split.`);
    });
  const answered = await read("train", config.limit);
  const reported = await judged(config.report);
  const mismatched = other && (await judged(other));
  if (skipped > 3) session.warn(`skipped ${skipped} rows in all`);
  // A question whose answer is none of its choices is judged, but there is nothing to learn from it.
  const all = answered.filter(({ label }) => label !== undefined);
  if (all.length < answered.length)
    session.warn(
      `left ${answered.length - all.length} items out of training whose answer is none of their choices`,
    );
  const { train, held } = holdOut(all, config.held, holdOutSeed);
  const text =
    `${task.name}: ${train.length} items to train on, ${held.length} of the training split held out to choose by, ` +
    `${reported.length} of ${config.report}${mismatched ? ` and ${mismatched.length} of ${other}` : ""} to report`;
  return { task, train, held, reported, ...(mismatched && { mismatched }), text };
}

/** Texts, of which a share is held out. */
export async function kdTexts(
  { data, seed }: KdConfig,
  { tokenizer }: KdModel,
  maxPositions: number,
  session: Session,
): Promise<{ train: TokenText[]; held: TokenText[]; text: string }> {
  const reader = { tokenizer, config: { maxPositions } };
  return demonstrationDataset({ model: "the student", data: data!, seed }, reader, session);
}
