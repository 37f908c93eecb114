import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { sizeOf } from "../base-model.ts";
import { taskOf } from "../dpg/target-tasks.ts";
import { approachTargets } from "../dpg/targets.ts";
import { targetsPage, targetsTable } from "../dpg/targets-report.ts";

export const usage =
  "--task lexical|distributional|several|preference|conditional [--sizes 64x2 | --model PATH [--tokenizer FILE]] [--divergences a,b] [--baselines none,leave-one-out] [--seeds 1,2,3] [--steps N] [--output FOLDER]";

/** `fdiv-evals targets`: one of the paper's tasks, as a table and a page. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      task: { type: "string", default: "lexical" },
      sizes: { type: "string", default: "64x2" },
      model: { type: "string" },
      tokenizer: { type: "string" },
      material: { type: "string", default: "runs/material" },
      output: { type: "string" },
      divergences: {
        type: "string",
        default: "forward-kl,reverse-kl,jensen-shannon,total-variation,alpha:0.5",
      },
      baselines: { type: "string", default: "leave-one-out" },
      seeds: { type: "string", default: "1,2,3" },
      steps: { type: "string", default: "100" },
      "learning-rate": { type: "string", default: "1e-3" },
      "samples-per-step": { type: "string", default: "256" },
      "evaluation-samples": { type: "string", default: "2048" },
    },
  });
  const { task: name, model, tokenizer } = values;
  const task = taskOf(name, model === undefined ? "wordnet" : "stories");
  const output = values.output ?? `runs/targets-${name}`;
  const rows = await approachTargets({
    name,
    task,
    bases:
      model === undefined
        ? { sizes: list(values.sizes).map(sizeOf) }
        : { model, ...(tokenizer !== undefined && { tokenizer }) },
    material: values.material,
    output,
    divergences: list(values.divergences),
    baselines: list(values.baselines),
    seeds: numbers("seeds", values.seeds),
    steps: number("steps", values.steps),
    learningRate: number("learning-rate", values["learning-rate"]),
    samplesPerStep: number("samples-per-step", values["samples-per-step"]),
    evaluationSamples: number("evaluation-samples", values["evaluation-samples"]),
  });
  const page = join(output, `${name}.html`);
  const notes = `f-DPG on the ${name} task; seeds ${values.seeds}, ${values.steps} steps of ${values["samples-per-step"]} texts, ${values["evaluation-samples"]} texts judged.`;
  await writeFile(page, targetsPage(`f-DPG: ${name}`, notes, rows));
  console.log(targetsTable(rows));
  console.error(`\npage: ${page}`);
}
