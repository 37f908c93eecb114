import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { divergenceFindings } from "../dpo/findings.ts";
import { frontier, frontierFigures } from "../dpo/frontier.ts";
import { markdownTable, shown } from "../figures.ts";
import { findingsTable } from "../findings.ts";

export const usage = "--demo FOLDER [--divergences a,b] [--betas 0.1,0.3] [--seeds 1,2,3] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      demo: { type: "string", default: "fdiv-demo" },
      output: { type: "string", default: "runs/frontier" },
      divergences: { type: "string", default: "reverse-kl,jensen-shannon,alpha:0.5,forward-kl" },
      betas: { type: "string", default: "0.03,0.1,0.3" },
      seeds: { type: "string", default: "1,2,3" },
      "learning-rate": { type: "string", default: "1e-4" },
      epochs: { type: "string", default: "2" },
    },
  });
  const betas = numbers("betas", values.betas);
  const points = await frontier({
    demo: values.demo,
    output: values.output,
    divergences: list(values.divergences),
    betas,
    seeds: numbers("seeds", values.seeds),
    learningRate: number("learning-rate", values["learning-rate"]),
    epochs: number("epochs", values.epochs),
  });
  const header = ["divergence", "β", "reward", "KL(π‖ref)", "entropy", "distinct-2", "held-out accuracy"];
  const table = markdownTable(
    header,
    points.map(({ divergence, beta, figures }) => [
      divergence,
      String(beta),
      ...frontierFigures.map((name) => shown(figures[name])),
    ]),
  );
  const claims = betas.map(
    (beta) =>
      `At β ${beta}, by the differences of each seed:\n\n${findingsTable(divergenceFindings(points, beta))}`,
  );
  console.log([table, ...claims].join("\n\n"));
}
