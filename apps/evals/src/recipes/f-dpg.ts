import { join } from "node:path";
import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { sizeOf } from "../base-model.ts";
import { fDpgResults } from "../dpg/f-dpg-results.ts";

export const usage =
  "[--seeds 1,2,3] [--steps 60] [--output FOLDER] [--results FILE]   (all tasks and ablations, f-DPO against PPO, and what reproduces)";

/** `fdiv-evals f-dpg`: every task and ablation, f-DPO against PPO, and which of the papers' findings reproduce, as one Markdown page. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      material: { type: "string", default: "runs/material" },
      output: { type: "string", default: "runs/f-dpg" },
      results: { type: "string" },
      size: { type: "string", default: "64x2" },
      sizes: { type: "string", default: "32x1,64x2,128x3" },
      seeds: { type: "string", default: "1,2,3" },
      steps: { type: "string", default: "60" },
      "learning-rate": { type: "string", default: "2e-3" },
      "samples-per-step": { type: "string", default: "128" },
      "evaluation-samples": { type: "string", default: "1024" },
    },
  });
  const file = values.results ?? join(values.output, "results.md");
  const page = await fDpgResults(
    {
      material: values.material,
      output: values.output,
      size: sizeOf(values.size),
      sizes: list(values.sizes).map(sizeOf),
      seeds: numbers("seeds", values.seeds),
      steps: number("steps", values.steps),
      learningRate: number("learning-rate", values["learning-rate"]),
      samplesPerStep: number("samples-per-step", values["samples-per-step"]),
      evaluationSamples: number("evaluation-samples", values["evaluation-samples"]),
    },
    file,
  );
  console.log(page);
  console.error(`\nresults: ${file}`);
}
