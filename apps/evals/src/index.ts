export { type FrontierOptions, type FrontierPoint, frontier } from "./frontier.ts";
export { approachTargets, type TargetsOptions, type TargetsRow, targetsTable } from "./targets.ts";
