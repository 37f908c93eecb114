import { createRequire } from "node:module";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { RunOptions } from "./commands/configured-run.ts";
import { exitCodeOf, explain } from "./failure.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

const integer = (least: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new InvalidArgumentError(`an integer of at least ${least} is due.`);
  return value;
};
const number =
  (least: number, most = Number.POSITIVE_INFINITY) =>
  (text: string) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most))
      throw new InvalidArgumentError(`a number in [${least}, ${most}] is due.`);
    return value;
  };
const collect = (value: string, before: string[]) => [...before, value];

/** How a command that a configuration describes is presented; sentences without their last full stop. */
interface ConfiguredCommand {
  summary: string;
  /** The summary when absent. */
  description?: string;
  /** What a dry run does before it says what would happen. */
  dryRun: string;
  example: string;
}

/** The whole command line as a commander program; `main` runs it, the tests look into it. */
export function program(): Command {
  const fdiv = new Command("fdiv")
    .description("Align language models under any f-divergence, in Node, without Python.")
    .version(version)
    .addOption(
      new Option(
        "--backend <name>",
        "where tensors live (default: the best that works; also FDIV_BACKEND)",
      ).choices(["auto", "tensorflow", "webgpu", "wasm", "cpu"]),
    )
    .option(
      "--threads <n>",
      "threads of the wasm backend (default: all cores; also FDIV_THREADS)",
      integer(1),
    )
    .option("--quiet", "no progress on standard error")
    .showHelpAfterError("(--help lists what there is)")
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true });

  /** A command whose run one YAML file describes; every key can be set from the command line too. */
  const configured = (
    name: string,
    { summary, description = summary, dryRun, example }: ConfiguredCommand,
    load: () => Promise<(config: string | undefined, options: RunOptions) => Promise<void>>,
  ): void => {
    fdiv
      .command(name)
      .summary(summary)
      .description(
        `${description}.\n\nOne YAML file describes a run; every key can be set from the command line too.`,
      )
      .argument(
        "[config]",
        "YAML or JSON configuration, or the directory of a run; --set alone will do as well",
      )
      .option("--set <key=value>", "set a key, repeatedly: --set beta=0.3 --set lora.rank=8", collect, [])
      .option("--resume", "continue the run in its output directory exactly where it stopped")
      .option("--dry-run", `${dryRun}, print what would happen, train nothing`)
      .option("--schema", "print the JSON schema of the configuration and exit")
      .addHelpText("after", `\nExample:\n  ${example}\n`)
      .action(async (config, options, command) => {
        const run = await load();
        await run(config, { ...command.optsWithGlobals(), ...options });
      });
  };

  configured(
    "sft",
    {
      summary: "Supervised fine-tuning on texts or completions",
      dryRun: "load, tokenise and check everything",
      example: "fdiv sft sft.yaml --set epochs=2",
    },
    async () => (await import("./commands/sft.ts")).fineTuneModel,
  );
  configured(
    "dpo",
    {
      summary: "Direct preference optimisation under any admissible f-divergence",
      dryRun: "load, tokenise and check everything",
      example:
        "fdiv dpo --set model=./SmolLM2-135M-Instruct --set data.train=pairs.jsonl --set divergence=js --set output=runs/js",
    },
    async () => (await import("./commands/dpo.ts")).alignPolicy,
  );
  configured(
    "dpg",
    {
      summary: "Approximate any target distribution under any f-divergence",
      description:
        "Approximate a target that can be evaluated, such as the model conditioned on a feature of its texts, on moments of features, or\ntilted by a reward",
      dryRun: "load the model, fit the target",
      example:
        "fdiv dpg --set model=./SmolLM2-135M --set 'target.times=[{ word: amazing }]' --set divergence=js --set output=runs/amazing",
    },
    async () => (await import("./commands/dpg.ts")).approximateTarget,
  );
  configured(
    "ppo",
    {
      summary: "Raise a reward by proximal policy optimisation, held to the model by any f-divergence",
      description:
        "Raise the reward of a model's texts by proximal policy optimisation (PPO), held to the model as it was by any f-divergence, in the\nreward or in the loss",
      dryRun: "load the model",
      example:
        "fdiv ppo --set model=./SmolLM2-135M --set 'reward={ sentiment: true }' --set penalty.coefficient=0.1 --set output=runs/ppo",
    },
    async () => (await import("./commands/ppo.ts")).optimiseReward,
  );
  configured(
    "distill",
    {
      summary: "A one-step generator from a diffusion teacher under any f-divergence",
      description:
        "Train a diffusion model on images or points (or take a diffusers folder), distil it into a one-step generator under an f-divergence, measure\nboth, and write a report",
      dryRun: "read the data, build the nets, check everything",
      example:
        "fdiv distill --set data.images=train-images-idx3-ubyte.gz --set data.labels=train-labels-idx1-ubyte.gz --set data.size=14 --set divergence=js --set output=runs/digits",
    },
    async () => (await import("./commands/distill.ts")).distillTeacher,
  );
  configured(
    "kd",
    {
      summary: "Distil a teacher into a smaller student by Sinkhorn distance or any f-divergence",
      description:
        "Knowledge distillation on a task of GLUE or SuperGLUE, or on texts: by the Sinkhorn distance (SinKD), any f-divergence, or a mixture.\nWithout a teacher the student is fine-tuned alone",
      dryRun: "load and tokenise everything",
      example:
        "fdiv kd --set task.name=sst2 --set task.folder=./SST-2 --set teacher.model=./teacher --set student.layers=6 --set loss=sinkhorn --set output=runs/kd",
    },
    async () => (await import("./commands/kd.ts")).distilKnowledge,
  );

  fdiv
    .command("generate")
    .summary("Continue a prompt; the text alone goes to standard output")
    .requiredOption(
      "--model <path>",
      "a Hugging Face folder, a GGUF or llama2.c file, or hf:owner/name@revision",
    )
    .option("--prompt <text>", "the text to continue; none starts from the beginning of a text")
    .option("--chat", "wrap the prompt as a user's message in the model's chat template")
    .option("--system <text>", "a system message, with --chat")
    .option("--tokenizer <file>", "tokenizer of a llama2.c model")
    .option("--max-tokens <n>", "tokens to write at most", integer(1), 128)
    .option("--temperature <t>", "0 takes the most probable token each time", number(0), 1)
    .option("--top-k <k>", "sample among the k most probable tokens", integer(1))
    .option("--top-p <p>", "sample among the most probable tokens that hold this mass", number(0, 1))
    .option("--stop <text>", "end before this text, repeatedly", collect, [])
    .option("--seed <n>", "seed of the random numbers", integer(0), 0)
    .addOption(
      new Option("--storage <type>", "how the weights lie in memory; bfloat16 takes half")
        .choices(["float32", "bfloat16"])
        .default("float32"),
    )
    .action(async (options, command) => {
      const { generateText } = await import("./commands/generate.ts");
      await generateText({ ...command.optsWithGlobals(), ...options });
    });

  fdiv
    .command("eval")
    .summary("Reward, divergences, diversity, accuracy and calibration of a model")
    .argument("[config]", "YAML or JSON configuration")
    .option("--set <key=value>", "set a key, repeatedly", collect, [])
    .option("--schema", "print the JSON schema of the configuration and exit")
    .action(async (config, options, command) => {
      const { evaluate } = await import("./commands/eval.ts");
      await evaluate(config, { ...command.optsWithGlobals(), ...options });
    });

  fdiv
    .command("report")
    .summary("One self-contained HTML page from run directories")
    .argument("<runs...>", "run directories")
    .option("-o, --output <file>", "where the page goes", "report.html")
    .option("--title <text>", "the page's title")
    .option(
      "--against <name>",
      "of a sweep of losses or divergences, the one that the others are held against seed by seed",
    )
    .action(async (runs, options) => {
      const { report } = await import("./commands/report.ts");
      await report(runs, options);
    });

  fdiv
    .command("convert")
    .summary("Between Hugging Face folders, GGUF (F32, F16) and llama2.c .bin")
    .argument("<from>", "a folder, a .gguf or .bin file, or hf:owner/name@revision")
    .argument("<to>", "a folder, or a file ending in .gguf or .bin")
    .addOption(
      new Option("--dtype <type>", "number format to write").choices(["F32", "F16", "BF16"]).default("F32"),
    )
    .option("--tokenizer <file>", "tokenizer of a llama2.c model")
    .action(async (from, to, options, command) => {
      const { convert } = await import("./commands/convert.ts");
      await convert(from, to, { ...command.optsWithGlobals(), ...options });
    });

  fdiv
    .command("doctor")
    .summary("What this machine can run: backends found, why the others were not, how to get them")
    .action(async (_options, command) => {
      const { doctor } = await import("./commands/doctor.ts");
      await doctor(command.optsWithGlobals());
    });

  fdiv
    .command("demo")
    .summary("Train a small language model and align it under four divergences, in a few minutes")
    .option("-o, --output <folder>", "where the runs and the report go", "fdiv-demo")
    .option("--seed <n>", "seed of everything", integer(0), 1)
    .addOption(
      new Option("--scale <factor>", "shrink or grow the training").argParser(number(0.01, 100)).default(1),
    )
    .action(async (options, command) => {
      const { demo } = await import("./demo/demo.ts");
      await demo({ ...command.optsWithGlobals(), ...options });
    });

  return fdiv;
}

/** Runs the command line; sets the exit code and never throws. */
export async function main(args: readonly string[]): Promise<void> {
  const fdiv = program();
  for (const command of [fdiv, ...fdiv.commands]) command.exitOverride();
  // A reader that closed early, as `fdiv generate | head` does, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  try {
    await fdiv.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    process.stderr.write(`\nfdiv: ${explain(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
