export {
  type Colours,
  coloursOf,
  type FrontierPoint,
  frontier,
  type IntervalRow,
  intervals,
  legend,
  lines,
  type Point,
  plots,
  reliability,
  thin,
} from "./charts.ts";
export { escapeHtml, page, section, table } from "./html.ts";
export { type ImageGridOptions, imageGrid } from "./image-grid.ts";
export { type ReportOptions, renderReport } from "./render-report.ts";
export type {
  Bin,
  DistillationEvaluation,
  Estimated,
  Evaluation,
  GeneratorEvaluation,
  Picture,
  Range,
  RunData,
} from "./run-data.ts";
