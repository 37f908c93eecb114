export { type FrontierOptions, type FrontierPoint, frontier } from "./frontier.ts";
