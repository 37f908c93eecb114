import { type Interval, meanInterval } from "@fdiv/metrics";
import {
  coloursOf,
  escapeHtml,
  frontier,
  intervals,
  legend,
  page,
  plots,
  section,
  table,
} from "@fdiv/report";
import { type Figures, markdownTable, shown } from "../figures.ts";
import { type MethodRow, nameOf } from "./method.ts";

const figureNames = [
  "reward",
  "KL(π‖ref)",
  "KL(ref‖π)",
  "entropy",
  "distinct-1",
  "distinct-2",
  "self-BLEU-3",
  "accuracy",
  "ECE Bradley–Terry",
  "ECE token likelihood",
];

/** At these divergences the frontiers are compared, in nats. */
export const budgets = [0.25, 0.5, 1, 2];

/** The reward at a KL, straight between the points of one seed and from the reference's on; undefined beyond the last. */
function rewardAt(points: readonly { kl: number; reward: number }[], kl: number): number | undefined {
  const sorted = [...points].sort((a, b) => a.kl - b.kl);
  const after = sorted.findIndex((point) => point.kl >= kl);
  if (after < 1) return undefined;
  const [a, b] = [sorted[after - 1]!, sorted[after]!];
  return a.reward + ((b.reward - a.reward) * (kl - a.kl)) / (b.kl - a.kl);
}

/** A method's reward at a KL, interpolated over its β seed by seed. */
export function rewardsAt(
  rows: readonly MethodRow[],
  reference: Figures,
  name: string,
  kl: number,
): (number | undefined)[] {
  const own = rows.filter((row) => nameOf(row) === name);
  return (own[0]?.bySeed ?? []).map((_, seed) =>
    rewardAt(
      [
        { kl: 0, reward: reference.reward!.value },
        ...own.map(({ bySeed }) => ({ kl: bySeed[seed]!["KL(π‖ref)"]!, reward: bySeed[seed]!.reward! })),
      ],
      kl,
    ),
  );
}

/** Each method's reward at each KL. */
export function efficiency(
  rows: readonly MethodRow[],
  reference: Figures,
): { name: string; rewards: (Interval | undefined)[] }[] {
  const names = [...new Set(rows.map(nameOf))];
  return names.map((name) => {
    const rewards = budgets.map((kl) => {
      const found = rewardsAt(rows, reference, name, kl);
      return found.every((reward) => reward !== undefined) ? meanInterval(found as number[]) : undefined;
    });
    return { name, rewards };
  });
}

const header = ["", "β", ...figureNames];
const cells = (rows: readonly MethodRow[], reference: Figures): string[][] => [
  [
    "(reference)",
    "",
    ...figureNames.map((name) =>
      name === "ECE Bradley–Terry" || name === "accuracy" ? "–" : shown(reference[name]),
    ),
  ],
  ...rows.map((row) => [
    nameOf(row),
    String(row.beta),
    ...figureNames.map((name) => shown(row.figures[name])),
  ]),
];
const efficiencyHeader = ["", ...budgets.map((kl) => `reward at KL ${kl}`)];
const efficiencyCells = (rows: readonly MethodRow[], reference: Figures): string[][] =>
  efficiency(rows, reference).map(({ name, rewards }) => [name, ...rewards.map((reward) => shown(reward))]);

/** Both tables as Markdown. */
export const methodsTable = (rows: readonly MethodRow[], reference: Figures): string =>
  `${markdownTable(header, cells(rows, reference))}\n\n${markdownTable(efficiencyHeader, efficiencyCells(rows, reference))}`;

/** One page: frontiers, diversity, calibration, and the tables. */
export function methodsPage(notes: string, rows: readonly MethodRow[], reference: Figures): string {
  const colours = coloursOf(rows.map(nameOf));
  const against = (x: string, y: string): string =>
    frontier(
      `${y} against ${x}`,
      [x, y],
      rows.flatMap((row) => {
        const [a, b] = [row.figures[x], row.figures[y]];
        if (!a || !b) return [];
        const bars = { xLow: a.low, xHigh: a.high, yLow: b.low, yHigh: b.high };
        return [{ series: nameOf(row), label: `β ${row.beta}`, x: a.value, y: b.value, ...bars }];
      }),
      colours,
    );
  const each = (name: string): string =>
    intervals(
      name,
      name,
      rows.flatMap((row) => {
        const figure = row.figures[name];
        return figure ? [{ name: `${nameOf(row)}, β ${row.beta}`, series: nameOf(row), ...figure }] : [];
      }),
      colours,
    );
  return page("f-DPO against PPO", escapeHtml(notes), [
    section(
      "Frontiers",
      legend(colours) +
        plots([
          against("KL(π‖ref)", "reward"),
          against("KL(ref‖π)", "reward"),
          against("entropy", "reward"),
          against("distinct-2", "reward"),
          against("self-BLEU-3", "reward"),
        ]),
      "Means over seeds with 95 % intervals; the reward is the sentiment lexicon's, known exactly.",
    ),
    section(
      "Reward at the same divergence",
      table(efficiencyHeader, efficiencyCells(rows, reference)),
      "Interpolated between a method's β seed by seed, from the reference's own reward on; – where its β do not reach so far.",
    ),
    section(
      "Calibration",
      plots([
        each("ECE Bradley–Terry"),
        each("ECE token likelihood"),
        against("KL(π‖ref)", "ECE token likelihood"),
      ]),
      "Bradley–Terry: sigmoid of the implicit reward's margin, β·(s(l_w) − s(l_r)), against the label. Token likelihood: exp(mean log-probability of the chosen answer's tokens) against whether the pair is ranked right.",
    ),
    section("All figures", table(header, cells(rows, reference))),
  ]);
}
