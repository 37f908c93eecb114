import { parseArgs } from "node:util";
import { openSession } from "@fdiv/cli";
import { closedForms } from "../distill/closed-forms.ts";
import { markdownTable } from "../figures.ts";

export const usage = "";

/** `fdiv-evals distill-forms`: what is known in closed form beside what is computed, as a table. */
export async function run(args: string[]): Promise<void> {
  parseArgs({ args, options: {} });
  const session = await openSession({ quiet: true });
  try {
    const rows = closedForms().map(({ name, exact, found }) => [
      name,
      exact.toPrecision(6),
      found.toPrecision(6),
      exact === 0 ? "–" : Math.abs(found / exact - 1).toExponential(1),
    ]);
    console.log(markdownTable(["", "exact", "found", "relative error"], rows));
  } finally {
    session.close();
  }
}
