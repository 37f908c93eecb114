import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { sizeOf } from "../base-model.ts";
import type { Method } from "../dpo/method.ts";
import { methodsPage, methodsTable } from "../dpo/methods-report.ts";
import { preferenceMethods } from "../dpo/preference-methods.ts";

/** A penalty as `reward:reverse-kl` or `loss:alpha:0.5`. */
function penaltyOf(text: string): Method {
  const [place = "", ...rest] = text.split(":");
  if ((place !== "reward" && place !== "loss") || rest.length === 0)
    throw new Error(`--penalties ${text}: write reward:DIVERGENCE or loss:DIVERGENCE.`);
  return { method: "PPO", divergence: rest.join(":"), place };
}

export const usage =
  "[--divergences a,b] [--betas 0.1,0.3] [--penalties reward:reverse-kl,loss:reverse-kl] [--coefficients 0.3,1] [--size 64x2] [--seeds 1,2,3] [--output FOLDER]";

/** `fdiv-evals ppo`: f-DPO against PPO, as tables and a page. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      material: { type: "string", default: "runs/material" },
      output: { type: "string", default: "runs/ppo" },
      size: { type: "string", default: "64x2" },
      divergences: { type: "string", default: "reverse-kl,jensen-shannon,alpha:0.5,forward-kl" },
      betas: { type: "string", default: "0.1,0.3,1" },
      penalties: { type: "string", default: "reward:reverse-kl,loss:reverse-kl,reward:jensen-shannon" },
      coefficients: { type: "string", default: "0.3,1,3" },
      seeds: { type: "string", default: "1,2,3" },
      epochs: { type: "string", default: "2" },
      "learning-rate": { type: "string", default: "5e-4" },
      "ppo-steps": { type: "string", default: "60" },
      "ppo-learning-rate": { type: "string", default: "1e-3" },
    },
  });
  const { rows, reference } = await preferenceMethods({
    material: values.material,
    output: values.output,
    size: sizeOf(values.size),
    methods: [
      ...list(values.divergences).map((divergence): Method => ({ method: "f-DPO", divergence })),
      ...list(values.penalties).map(penaltyOf),
    ],
    betas: numbers("betas", values.betas),
    coefficients: numbers("coefficients", values.coefficients),
    seeds: numbers("seeds", values.seeds),
    dpo: {
      epochs: number("epochs", values.epochs),
      learningRate: number("learning-rate", values["learning-rate"]),
    },
    ppo: {
      steps: number("ppo-steps", values["ppo-steps"]),
      learningRate: number("ppo-learning-rate", values["ppo-learning-rate"]),
    },
  });
  const page = join(values.output, "methods.html");
  const notes = `One base model (${values.size}), one reward; seeds ${values.seeds}; f-DPO ${values.epochs} epochs, PPO ${values["ppo-steps"]} steps of 128 texts.`;
  await writeFile(page, methodsPage(notes, rows, reference));
  console.log(methodsTable(rows, reference));
  console.error(`\npage: ${page}`);
}
