import { parseArgs } from "node:util";
import { number } from "../arguments.ts";
import { type EstimatorRow, estimatorRows, momentRow } from "../dpg/estimator-table.ts";
import { markdownTable } from "../figures.ts";

export const usage = "[--samples 1000000] [--seed 0]";

/** `fdiv-evals estimator`: whether each estimator is unbiased, and whether moments are fitted, as tables. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { samples: { type: "string", default: "1000000" }, seed: { type: "string", default: "0" } },
  });
  const rows: EstimatorRow[] = [];
  for (const row of estimatorRows({
    samples: number("samples", values.samples),
    seed: number("seed", values.seed),
  })) {
    rows.push(row);
    process.stderr.write(
      `${row.divergence}, ${row.proposal}, ${row.baseline}: ${row.largest.toFixed(2)} standard errors\n`,
    );
  }
  console.log(
    markdownTable(
      [
        "divergence",
        "target",
        "proposal",
        "baseline",
        "error / gradient",
        "largest deviation, standard errors",
      ],
      rows.map((row) => [
        row.divergence,
        row.target,
        row.proposal,
        row.baseline,
        row.relativeError.toExponential(1),
        row.largest.toFixed(2),
      ]),
    ),
  );
  const components = rows.reduce((sum, row) => sum + row.components, 0);
  const beyond = rows.reduce((sum, row) => sum + row.beyondThree, 0);
  console.log(
    `\n${values.samples} samples a row. ${beyond} of ${components} components beyond 3 standard errors; ${(0.0027 * components).toFixed(1)} are to be expected of unbiased estimators.\n`,
  );
  const moments = [];
  for (const [from, to] of [
    [0.1, 0.5],
    [0.01, 0.5],
    [0.01, 0.99],
  ] as const)
    moments.push(await momentRow(from, to, 65_536));
  console.log(
    markdownTable(["moment", "λ", "λ from 65,536 samples", "effective samples", "warnings"], moments),
  );
}
