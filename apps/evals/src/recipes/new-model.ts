import { parseArgs } from "node:util";
import { number } from "../arguments.ts";
import { newModelFamilies, writeNewModel } from "../kd/new-model.ts";

export const usage =
  "--family bert|llama|t5 --tokenizer FOLDER [--hidden 128] [--layers 2] [--heads 4] [--seed 1] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      family: { type: "string", default: "bert" },
      tokenizer: { type: "string" },
      output: { type: "string" },
      hidden: { type: "string", default: "128" },
      layers: { type: "string", default: "2" },
      heads: { type: "string", default: "4" },
      seed: { type: "string", default: "1" },
    },
  });
  const family = newModelFamilies.find((name) => name === values.family);
  if (!family) throw new Error(`--family ${values.family}: there are ${newModelFamilies.join(", ")}.`);
  if (values.tokenizer === undefined) throw new Error("--tokenizer FOLDER is due.");
  const output = values.output ?? `runs/new-${family}`;
  const count = await writeNewModel({
    ...{ family, output, tokenizer: values.tokenizer },
    hiddenSize: number("hidden", values.hidden),
    layers: number("layers", values.layers),
    heads: number("heads", values.heads),
    seed: number("seed", values.seed),
  });
  console.log(`${output}: ${family} of ${count} parameters`);
}
