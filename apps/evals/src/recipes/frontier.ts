import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { frontier } from "../dpo/frontier.ts";

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
  const points = await frontier({
    demo: values.demo,
    output: values.output,
    divergences: list(values.divergences),
    betas: numbers("betas", values.betas),
    seeds: numbers("seeds", values.seeds),
    learningRate: number("learning-rate", values["learning-rate"]),
    epochs: number("epochs", values.epochs),
  });
  const shown = ({ value, low, high }: { value: number; low: number; high: number }) =>
    `${value.toFixed(3)} ± ${((high - low) / 2).toFixed(3)}`;
  console.log(
    "divergence | β | reward | KL(π‖ref) | entropy | distinct-2 | held-out accuracy\n---|---|---|---|---|---|---",
  );
  for (const point of points)
    console.log(
      [
        point.divergence,
        point.beta,
        ...[point.reward, point.klToReference, point.entropy, point.distinct2, point.accuracy].map(shown),
      ].join(" | "),
    );
}
