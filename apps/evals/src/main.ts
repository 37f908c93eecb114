import { parseArgs } from "node:util";
import { frontier } from "./frontier.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
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

if (positionals[0] !== "frontier") {
  console.error(
    "fdiv-evals frontier --demo FOLDER [--divergences a,b] [--betas 0.1,0.3] [--seeds 1,2,3] [--output FOLDER]",
  );
  process.exit(2);
}
const list = (text: string): string[] => text.split(",").filter(Boolean);
const points = await frontier({
  demo: values.demo,
  output: values.output,
  divergences: list(values.divergences),
  betas: list(values.betas).map(Number),
  seeds: list(values.seeds).map(Number),
  learningRate: Number(values["learning-rate"]),
  epochs: Number(values.epochs),
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
