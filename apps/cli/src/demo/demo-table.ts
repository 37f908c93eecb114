import type { PolicyEvaluation } from "../runs/evaluate-policy.ts";

export interface DemoRow {
  name: string;
  evaluation: PolicyEvaluation;
  accuracy?: number;
  ece?: number;
}

const withHalf = ({ value, low, high }: { value: number; low: number; high: number }): string =>
  `${value.toFixed(2)} ± ${((high - low) / 2).toFixed(2)}`;
const withError = (estimate: { value: number; standardError: number } | undefined): string =>
  estimate ? `${estimate.value.toFixed(2)} ± ${(1.96 * estimate.standardError).toFixed(2)}` : "0";

/** The demo's result as a table for a terminal; ± is half the 95 % interval. */
export function demoTable(rows: readonly DemoRow[]): string {
  const header = [
    "divergence",
    "reward",
    "KL(π‖ref)",
    "KL(ref‖π)",
    "entropy",
    "distinct-2",
    "self-BLEU-3",
    "accuracy",
    "ECE",
  ];
  const cells = rows.map(({ name, evaluation, accuracy, ece }) => [
    name,
    evaluation.reward ? withHalf(evaluation.reward) : "–",
    withError(evaluation.klToReference),
    withError(evaluation.klFromReference),
    withHalf(evaluation.entropy),
    evaluation.distinct[2]!.toFixed(3),
    evaluation.selfBleu[3]!.toFixed(3),
    accuracy === undefined ? "–" : accuracy.toFixed(3),
    ece === undefined ? "–" : ece.toFixed(3),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return [line(header), widths.map((width) => "─".repeat(width)).join("  "), ...cells.map(line)].join("\n");
}
