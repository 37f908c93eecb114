import {
  coloursOf,
  escapeHtml,
  frontier,
  intervals,
  legend,
  lines,
  page,
  plots,
  section,
  table,
} from "@fdiv/report";
import { markdownTable, shown } from "../figures.ts";
import type { TargetsRow } from "./targets.ts";

const labels: Record<string, string> = {
  forwardKl: "KL(p‖π)",
  reverseKl: "KL(π‖p)",
  totalVariation: "TV",
  jensenShannon: "JS",
  klToBase: "KL(π‖a)",
  entropy: "entropy",
};
const labelOf = (name: string): string => labels[name] ?? name;

/** What tells a row from the others: its divergence, and base and baseline where there are several. */
function naming(rows: readonly TargetsRow[]): (row: TargetsRow) => string {
  const several = (of: (row: TargetsRow) => string): boolean =>
    new Set(rows.filter((row) => row.divergence !== "(base)").map(of)).size > 1;
  const [bases, baselines] = [several((row) => row.base), several((row) => row.baseline)];
  return ({ base, divergence, baseline }) =>
    [divergence, ...(bases ? [base] : []), ...(baselines && baseline ? [baseline] : [])].join(" ");
}

const columnsOf = (rows: readonly TargetsRow[]): string[] => [
  ...new Set(rows.flatMap(({ figures }) => Object.keys(figures))),
];

/** The rows as a Markdown table: each figure's mean and half of its 95 % interval over seeds. */
export function targetsTable(rows: readonly TargetsRow[]): string {
  const name = naming(rows);
  const columns = columnsOf(rows);
  return markdownTable(
    ["", ...columns.map(labelOf)],
    rows.map((row) => [name(row), ...columns.map((column) => shown(row.figures[column]))]),
  );
}

/** Means over five steps, so that curves of several settings can be told apart. */
const smooth = (values: readonly number[], width = 5): number[] =>
  values.map((_, i) => {
    const part = values.slice(Math.max(0, i - width + 1), i + 1);
    return part.reduce((sum, x) => sum + x, 0) / part.length;
  });

/** One page: each figure with its interval, alignment against what it costs, and how it came about. */
export function targetsPage(title: string, notes: string, rows: readonly TargetsRow[]): string {
  const name = naming(rows);
  const colours = coloursOf(rows.map(({ divergence }) => divergence));
  const byRow = coloursOf(rows.filter(({ divergence }) => divergence !== "(base)").map(name));
  const columns = columnsOf(rows);
  const charts = columns.map((column) =>
    intervals(
      labelOf(column),
      labelOf(column),
      rows.flatMap((row) => {
        const figure = row.figures[column];
        return figure ? [{ name: name(row), series: row.divergence, ...figure }] : [];
      }),
      colours,
    ),
  );
  const against = (x: string, y: string): string =>
    frontier(
      `${labelOf(y)} against ${labelOf(x)}`,
      [labelOf(x), labelOf(y)],
      rows.flatMap((row) => {
        const [a, b] = [row.figures[x], row.figures[y]];
        return a && b
          ? [
              {
                series: row.divergence,
                label: "",
                x: a.value,
                y: b.value,
                xLow: a.low,
                xHigh: a.high,
                yLow: b.low,
                yHigh: b.high,
              },
            ]
          : [];
      }),
      colours,
    );
  const alignment = columns.filter((column) => column.startsWith("E "));
  const costs = ["klToBase", "entropy", "distinct-2", "self-BLEU-5"].filter((cost) => columns.includes(cost));
  const curveNames = [...new Set(rows.flatMap(({ curves }) => Object.keys(curves)))];
  const curves = curveNames.map((curve) =>
    lines(
      curve,
      "mean over seeds and five steps",
      rows.map((row) => smooth(row.curves[curve] ?? []).map((y, i) => ({ series: name(row), x: i + 1, y }))),
      byRow,
    ),
  );
  return page(title, escapeHtml(notes), [
    section(
      "Figures",
      table(
        ["", ...columns.map(labelOf)],
        rows.map((row) => [name(row), ...columns.map((column) => shown(row.figures[column]))]),
      ),
      "Means over seeds ± half of the 95 % interval (Student). Divergences from fresh texts of policy and base together.",
    ),
    section("Each figure", legend(colours) + plots(charts)),
    section("What alignment costs", plots(alignment.flatMap((y) => costs.map((x) => against(x, y))))),
    section("Training", legend(byRow) + plots(curves)),
  ]);
}
