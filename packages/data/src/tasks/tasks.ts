import { DataError } from "../row.ts";
import { glue } from "./glue.ts";
import { superGlue } from "./super-glue.ts";
import type { Task } from "./task.ts";

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

export const tasks: readonly Task[] = [...glue, ...superGlue];

/**
 * A task of GLUE or SuperGLUE by name, however it is spelled: `SST-2`, `sst2`.
 *
 * @throws DataError when there is none of that name
 */
export function task(name: string): Task {
  const found = tasks.find((one) => plain(one.name) === plain(name));
  if (!found)
    throw new DataError(`there is no task "${name}"; there are ${tasks.map((one) => one.name).join(", ")}.`);
  return found;
}
