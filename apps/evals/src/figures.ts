import { type Interval, meanInterval } from "@fdiv/metrics";

/** Figures of one setting over its seeds, by name. */
export type Figures = Record<string, Interval>;

/** Mean and 95 % interval over seeds of each figure that every seed has as a finite number. */
export function overSeeds(rows: readonly Record<string, number | null | undefined>[]): Figures {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.every((row) => Number.isFinite(row[name])));
  return Object.fromEntries(
    names.map((name) => [name, meanInterval(rows.map((row) => row[name] as number))]),
  );
}

/** A figure as `0.123 ± 0.045`: half of its interval; – where there is none. */
export function shown(figure: Interval | undefined, digits = 3): string {
  if (!figure) return "–";
  const half = (figure.high - figure.low) / 2;
  return Number.isFinite(half)
    ? `${figure.value.toFixed(digits)} ± ${half.toFixed(digits)}`
    : figure.value.toFixed(digits);
}

/** Rows of cells as a Markdown table. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)].join("\n");
}
