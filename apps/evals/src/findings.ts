import { type Interval, meanInterval } from "@fdiv/metrics";
import { markdownTable, shown } from "./figures.ts";

/** One of a paper's findings, held against the runs. */
export interface Finding {
  /** What is claimed: that the difference is positive. */
  claim: string;
  difference: Interval | undefined;
}

/** What the 95 % interval of the difference says of a claim. */
export function verdict({ difference }: Finding): string {
  if (!difference) return "not measured";
  if (difference.low > 0) return "reproduces";
  return difference.high < 0 ? "the reverse" : "undecided";
}

/** Differences seed by seed; undefined where one is missing or infinite. */
export function paired(
  a: readonly (number | null | undefined)[],
  b: readonly (number | null | undefined)[],
): Interval | undefined {
  const differences = a.map((x, i) => (x ?? Number.NaN) - (b[i] ?? Number.NaN));
  return differences.length > 0 && differences.every(Number.isFinite) ? meanInterval(differences) : undefined;
}

/** Findings as a Markdown table. */
export const findingsTable = (findings: readonly Finding[]): string =>
  markdownTable(
    ["claim", "difference", ""],
    findings.map((finding) => [finding.claim, shown(finding.difference), verdict(finding)]),
  );
