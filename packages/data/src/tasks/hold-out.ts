import { hashUniform } from "../hash.ts";
import type { TaskItem } from "./task.ts";

/** What must not be on both sides: a passage or a question with all that is asked of it, or else the item's own texts. */
const keyOf = ({ fields }: TaskItem): string => {
  const passage = fields.find(([name]) => name === "passage" || name === "paragraph");
  return passage ? passage[1] : fields.map(([, text]) => text).join("\n");
};

/**
 * Holds a share of the training items out, to choose checkpoints by in place of the reported split; questions of one passage stay together,
 * and an item is on the same side whatever the order of the file.
 *
 * @throws RangeError when the share is outside (0, 1) or leaves a side empty
 */
export function holdOut(
  items: readonly TaskItem[],
  share: number,
  seed = 0,
): { train: TaskItem[]; held: TaskItem[] } {
  if (!(share > 0 && share < 1))
    throw new RangeError(`holdOut: the share is ${share}, expected one in (0, 1).`);
  const train: TaskItem[] = [];
  const held: TaskItem[] = [];
  for (const item of items) (hashUniform(seed, keyOf(item)) < share ? held : train).push(item);
  if (train.length === 0 || held.length === 0)
    throw new RangeError(
      `holdOut: a share of ${share} of ${items.length} items leaves ${train.length} to train on and ${held.length} to choose by.`,
    );
  return { train, held };
}
