import { parseArgs } from "node:util";

/** Recipes by name: each reads the arguments after it and prints a table. */
const recipes: Record<string, { usage: string; run(args: string[]): Promise<void> }> = {
  frontier: {
    usage: "frontier --demo FOLDER [--divergences a,b] [--betas 0.1,0.3] [--seeds 1,2,3] [--output FOLDER]",
    run: runFrontier,
  },
  targets: {
    usage:
      "targets --task lexical|distributional|several|preference --model PATH [--tokenizer FILE] [--divergences a,b] [--baselines none,leave-one-out] [--seeds 1,2,3] [--steps N] [--output FOLDER]",
    run: runTargets,
  },
  kd: {
    usage:
      "kd --set key=value… [--losses ce,forward-kl,reverse-kl,js,tvd,sinkhorn] [--vary sinkhorn.lambda=0.02,0.5]… [--seeds 1,2,3] [--output FOLDER]",
    run: runKd,
  },
  modes: {
    usage: "modes [--separations 4,8,16,24] [--seeds 1,2,3,4,5] [--steps N] [--output FOLDER]",
    run: runModes,
  },
};

const list = (text: string): string[] => text.split(",").filter(Boolean);

async function runFrontier(args: string[]): Promise<void> {
  const { frontier } = await import("./frontier.ts");
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
}

async function runTargets(args: string[]): Promise<void> {
  const { approachTargets, targetsTable, tasks } = await import("./targets.ts");
  const { values } = parseArgs({
    args,
    options: {
      task: { type: "string", default: "lexical" },
      model: { type: "string", default: "fdiv-demo/base/model" },
      tokenizer: { type: "string" },
      output: { type: "string" },
      divergences: {
        type: "string",
        default: "forward-kl,reverse-kl,jensen-shannon,total-variation,alpha:0.5",
      },
      baselines: { type: "string", default: "leave-one-out" },
      seeds: { type: "string", default: "1,2,3" },
      steps: { type: "string", default: "200" },
      "learning-rate": { type: "string", default: "1e-4" },
      "samples-per-step": { type: "string", default: "128" },
      "max-tokens": { type: "string", default: "40" },
    },
  });
  const task = tasks.find((name) => name === values.task);
  if (!task) throw new Error(`--task ${values.task}: there are ${tasks.join(", ")}.`);
  const rows = await approachTargets({
    task,
    model: values.model,
    output: values.output ?? `runs/targets-${task}`,
    divergences: list(values.divergences),
    baselines: list(values.baselines),
    seeds: list(values.seeds).map(Number),
    steps: Number(values.steps),
    learningRate: Number(values["learning-rate"]),
    samplesPerStep: Number(values["samples-per-step"]),
    maxTokens: Number(values["max-tokens"]),
    ...(values.tokenizer !== undefined && { tokenizer: values.tokenizer }),
  });
  console.log(targetsTable(rows));
}

async function runKd(args: string[]): Promise<void> {
  const [{ distilVariants }, { kdTable }] = await Promise.all([
    import("./kd/kd-recipe.ts"),
    import("./kd/kd-table.ts"),
  ]);
  const { values } = parseArgs({
    args,
    options: {
      set: { type: "string", multiple: true, default: [] },
      losses: { type: "string", default: "ce,forward-kl,reverse-kl,js,tvd,sinkhorn" },
      vary: { type: "string", multiple: true, default: [] },
      seeds: { type: "string", default: "1,2,3" },
      output: { type: "string", default: "runs/kd" },
    },
  });
  const summary = await distilVariants({
    output: values.output,
    settings: values.set,
    losses: list(values.losses),
    vary: values.vary.map((text) => {
      const cut = text.indexOf("=");
      if (cut < 1) throw new Error(`--vary ${text}: write it as key=value,value.`);
      return { key: text.slice(0, cut), values: list(text.slice(cut + 1)) };
    }),
    seeds: list(values.seeds).map(Number),
  });
  console.log(kdTable(summary));
}

async function runModes(args: string[]): Promise<void> {
  const { modesTable, recoverModes } = await import("./kd/modes.ts");
  const { values } = parseArgs({
    args,
    options: {
      separations: { type: "string", default: "4,8,16,24" },
      seeds: { type: "string", default: "1,2,3,4,5" },
      steps: { type: "string", default: "400" },
      output: { type: "string", default: "runs/modes" },
    },
  });
  const result = await recoverModes({
    output: values.output,
    separations: list(values.separations).map(Number),
    seeds: list(values.seeds).map(Number),
    steps: Number(values.steps),
  });
  console.log(modesTable(result));
}

const [name = "", ...args] = process.argv.slice(2);
const recipe = Object.hasOwn(recipes, name) ? recipes[name] : undefined;
if (!recipe) {
  console.error(
    Object.values(recipes)
      .map(({ usage }) => `fdiv-evals ${usage}`)
      .join("\n"),
  );
  process.exit(2);
}
await recipe.run(args).catch((error: Error) => {
  console.error(`fdiv-evals ${name}: ${error.message}`);
  process.exit(1);
});
