import { DataError, holdOut, type Task, type TaskItem, type TokenText, task as taskByName } from "@fdiv/data";
import { readTask, type TaskSplit } from "@fdiv/data/node";
import { demonstrationDataset } from "../runs/datasets.ts";
import type { Session } from "../session.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";

/** A task's items: to train on, to choose checkpoints by, and to report. */
export interface KdItems {
  task: Task;
  train: TaskItem[];
  held: TaskItem[];
  reported: TaskItem[];
  text: string;
}

/** Checkpoints of all seeds are chosen by the same items. */
const holdOutSeed = 0;

/** Reads a task, holding items of its training split out. */
export async function kdItems(config: NonNullable<KdConfig["task"]>, session: Session): Promise<KdItems> {
  const task = taskByName(config.name);
  let skipped = 0;
  const read = async (split: TaskSplit, limit?: number) => {
    const items = await readTask(task, config.folder, split, {
      onError: config.onError,
      onSkip: (error) => {
        if (skipped++ < 3) session.warn(`skipped ${error.message}`);
      },
      ...(limit !== undefined && { limit }),
    });
    return items.filter(({ label }) => label !== undefined);
  };
  const all = await read("train", config.limit);
  const reported = await read(config.report);
  if (reported.length === 0)
    throw new DataError(
      `${config.folder}: the ${config.report} split has no labels to judge by; report the validation split.`,
    );
  if (skipped > 3) session.warn(`skipped ${skipped} rows in all`);
  const { train, held } = holdOut(all, config.held, holdOutSeed);
  const text = `${task.name}: ${train.length} items to train on, ${held.length} of the training split held out to choose by, ${reported.length} of ${config.report} to report`;
  return { task, train, held, reported, text };
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
