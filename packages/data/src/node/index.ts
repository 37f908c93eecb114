export { type ReadOptions, readRows } from "./read-rows.ts";
