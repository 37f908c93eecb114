import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { list, numbers } from "../arguments.ts";
import { type Experiment, everyLoss, experimentNames, experiments } from "../kd/experiments.ts";
import { distilVariants } from "../kd/kd-recipe.ts";
import { kdTable } from "../kd/kd-table.ts";
import { writeNewModel } from "../kd/new-model.ts";

export const usage =
  "--experiment NAME --folder TASK (--tokenizer FOLDER | --teacher MODEL), or --set key=value… [--losses ce,forward-kl,reverse-kl,js,tvd,sinkhorn] [--vary sinkhorn.lambda=0.02,0.5]… [--seeds 1,2,3] [--output FOLDER]";

interface Places {
  folder?: string | undefined;
  tokenizer?: string | undefined;
  teacher?: string | undefined;
}

function experimentOf(name: string): Experiment {
  if (!Object.hasOwn(experiments, name))
    throw new Error(`--experiment ${name}: there are ${experimentNames}.`);
  return experiments[name]!;
}

/** The model that becomes the teacher: the one given, or one of random weights beside the runs. */
async function teacherOf(
  { family }: Experiment,
  { tokenizer, teacher }: Places,
  output: string,
): Promise<string> {
  if (!family) {
    if (teacher === undefined) throw new Error("--teacher MODEL is due: a pretrained encoder.");
    return teacher;
  }
  if (teacher !== undefined)
    throw new Error("--teacher: this experiment trains a new model; give --tokenizer FOLDER instead.");
  if (tokenizer === undefined)
    throw new Error("--tokenizer FOLDER is due: whose tokenizer the new model takes, such as BERT's.");
  const made = join(output, "new-model");
  if (!existsSync(join(made, "config.json")))
    await writeNewModel({ family, tokenizer, output: made, hiddenSize: 128, layers: 2, heads: 4, seed: 1 });
  return made;
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      experiment: { type: "string" },
      folder: { type: "string" },
      tokenizer: { type: "string" },
      teacher: { type: "string" },
      set: { type: "string", multiple: true, default: [] },
      losses: { type: "string" },
      vary: { type: "string", multiple: true },
      seeds: { type: "string", default: "1,2,3" },
      output: { type: "string" },
    },
  });
  const { experiment: name, folder } = values;
  const output = values.output ?? join("runs", name ? `kd-${name}` : "kd");
  if (!name && (folder ?? values.tokenizer ?? values.teacher) !== undefined)
    throw new Error("--folder, --tokenizer and --teacher belong to --experiment; without one, use --set.");
  const experiment = name ? experimentOf(name) : undefined;
  if (experiment && folder === undefined)
    throw new Error("--folder is due: the task's official files, such as SST-2.");
  const summary = await distilVariants({
    output,
    settings: experiment
      ? [
          ...experiment.settings,
          `task.folder=${folder}`,
          `teacher.model=${await teacherOf(experiment, values, output)}`,
          ...values.set,
        ]
      : values.set,
    losses: values.losses ? list(values.losses) : (experiment?.losses ?? everyLoss),
    vary: values.vary?.map(varied) ?? experiment?.vary ?? [],
    seeds: numbers("seeds", values.seeds),
  });
  console.log(kdTable(summary));
}

function varied(text: string) {
  const cut = text.indexOf("=");
  if (cut < 1) throw new Error(`--vary ${text}: write it as key=value,value.`);
  return { key: text.slice(0, cut), values: list(text.slice(cut + 1)) };
}
