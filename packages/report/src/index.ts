export { thin } from "./charts.ts";
export { escapeHtml } from "./html.ts";
export { type ImageGridOptions, imageGrid } from "./image-grid.ts";
export { type ReportOptions, renderReport } from "./render-report.ts";
export type {
  Bin,
  Estimated,
  Evaluation,
  GeneratorEvaluation,
  Picture,
  Range,
  RunData,
} from "./run-data.ts";
