export { type ReadOptions, readRows } from "./read-rows.ts";
export { type ReadTaskOptions, readTask, type TaskSplit } from "./read-task.ts";
