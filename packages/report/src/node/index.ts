export { RunReadError, readRun } from "./read-run.ts";
