import { parseArgs } from "node:util";

/** Recipes by name: each reads the arguments after it and prints a table. */
const recipes: Record<string, { usage: string; run(args: string[]): Promise<void> }> = {
  frontier: {
    usage: "frontier --demo FOLDER [--divergences a,b] [--betas 0.1,0.3] [--seeds 1,2,3] [--output FOLDER]",
    run: runFrontier,
  },
  targets: {
    usage:
      "targets --task lexical|distributional|several|preference|conditional [--sizes 64x2 | --model PATH [--tokenizer FILE]] [--divergences a,b] [--baselines none,leave-one-out] [--seeds 1,2,3] [--steps N] [--output FOLDER]",
    run: async (args) => (await import("./targets-command.ts")).runTargets(args),
  },
  ppo: {
    usage:
      "ppo [--divergences a,b] [--betas 0.1,0.3] [--penalties reward:reverse-kl,loss:reverse-kl] [--coefficients 0.3,1] [--size 64x2] [--seeds 1,2,3] [--output FOLDER]",
    run: async (args) => (await import("./preference-methods-command.ts")).runPreferenceMethods(args),
  },
  "f-dpg": {
    usage:
      "f-dpg [--seeds 1,2,3] [--steps 60] [--output FOLDER] [--results FILE]   (all tasks and ablations, f-DPO against PPO, and what reproduces)",
    run: async (args) => (await import("./f-dpg-results.ts")).runResults(args),
  },
  estimator: {
    usage: "estimator [--samples 1000000] [--seed 0]",
    run: async (args) => (await import("./estimator-table.ts")).runEstimatorTable(args),
  },
  kd: {
    usage:
      "kd --set key=value… [--losses ce,forward-kl,reverse-kl,js,tvd,sinkhorn] [--vary sinkhorn.lambda=0.02,0.5]… [--seeds 1,2,3] [--output FOLDER]",
    run: runKd,
  },
  "new-model": {
    usage:
      "new-model --family bert|llama|t5 --tokenizer FOLDER [--hidden 128] [--layers 2] [--heads 4] [--seed 1] [--output FOLDER]",
    run: runNewModel,
  },
  modes: {
    usage: "modes [--separations 8,16,24] [--seeds 1,2,3,4,5] [--steps N] [--output FOLDER]",
    run: runModes,
  },
  "distill-mixtures": {
    usage:
      "distill-mixtures [--settings 'three modes,ring'] [--divergences a,b] [--ratios samples,discriminator] [--seeds 1,2,3] [--steps N] [--output FOLDER]",
    run: runMixtures,
  },
  "distill-images": {
    usage:
      "distill-images [--data digits|fashion] [--fashion FOLDER | --images FILE --labels FILE] [--size 14|28] [--net unet|mlp] [--channels 16,32 | --hidden 512] [--variants 'a;b'] [--seeds 1,2,3] [--teacher-steps N] [--steps N] [--output FOLDER]",
    run: runImages,
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

async function runNewModel(args: string[]): Promise<void> {
  const { newModelFamilies, writeNewModel } = await import("./kd/new-model.ts");
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
    hiddenSize: Number(values.hidden),
    layers: Number(values.layers),
    heads: Number(values.heads),
    seed: Number(values.seed),
  });
  console.log(`${output}: ${family} of ${count} parameters`);
}

async function runModes(args: string[]): Promise<void> {
  const { modesTable, recoverModes } = await import("./kd/modes.ts");
  const { values } = parseArgs({
    args,
    options: {
      separations: { type: "string", default: "8,16,24" },
      seeds: { type: "string", default: "1,2,3,4,5" },
      steps: { type: "string", default: "150" },
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

async function runMixtures(args: string[]): Promise<void> {
  const { mixtures, mixtureSettings } = await import("./distill/mixtures.ts");
  const { values } = parseArgs({
    args,
    options: {
      settings: { type: "string", default: mixtureSettings.join(",") },
      divergences: {
        type: "string",
        default: "reverse-kl,forward-kl,jensen-shannon,squared-hellinger,jeffreys,softened-reverse-kl",
      },
      ratios: { type: "string", default: "samples,discriminator" },
      seeds: { type: "string", default: "1,2,3" },
      steps: { type: "string", default: "900" },
      output: { type: "string", default: "runs/distill-mixtures" },
    },
  });
  const settings = list(values.settings);
  const unknown = settings.find((setting) => !mixtureSettings.includes(setting));
  if (unknown) throw new Error(`--settings ${unknown}: there are ${mixtureSettings.join(", ")}.`);
  console.log(
    await mixtures({
      settings,
      divergences: list(values.divergences),
      ratios: list(values.ratios),
      seeds: list(values.seeds).map(Number),
      steps: Number(values.steps),
      output: values.output,
    }),
  );
}

async function runImages(args: string[]): Promise<void> {
  const { digits, fashion, images, variants } = await import("./distill/images.ts");
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: "digits" },
      fashion: { type: "string" },
      images: { type: "string" },
      labels: { type: "string" },
      size: { type: "string", default: "14" },
      net: { type: "string", default: "unet" },
      channels: { type: "string", default: "16,32" },
      hidden: { type: "string", default: "512" },
      variants: { type: "string", default: Object.keys(variants).join(";") },
      seeds: { type: "string", default: "1,2,3" },
      limit: { type: "string" },
      "teacher-steps": { type: "string", default: "3000" },
      steps: { type: "string", default: "1500" },
      "batch-size": { type: "string", default: "64" },
      samples: { type: "string", default: "2000" },
      output: { type: "string", default: "runs/distill-images" },
    },
  });
  const known = { digits, fashion: () => fashion(values.fashion) };
  if (values.images === undefined && !Object.hasOwn(known, values.data))
    throw new Error(`--data ${values.data}: there are digits and fashion, or --images and --labels.`);
  if (values.net !== "unet" && values.net !== "mlp")
    throw new Error(`--net ${values.net}: there are unet and mlp.`);
  if ((values.images === undefined) !== (values.labels === undefined))
    throw new Error("--images and --labels go together.");
  const files =
    values.images !== undefined
      ? { images: values.images, labels: values.labels! }
      : known[values.data as keyof typeof known]();
  console.log(
    await images({
      name: `${values.data}-${values.size}`,
      files,
      size: Number(values.size),
      net:
        values.net === "mlp"
          ? { kind: "mlp", hidden: Number(values.hidden) }
          : { kind: "unet", blockChannels: list(values.channels).map(Number) },
      teacherSteps: Number(values["teacher-steps"]),
      steps: Number(values.steps),
      batchSize: Number(values["batch-size"]),
      samples: Number(values.samples),
      seeds: list(values.seeds).map(Number),
      // Names of variants have commas in them.
      variants: values.variants.split(";").filter(Boolean),
      ...(values.limit !== undefined && { limit: Number(values.limit) }),
      output: values.output,
    }),
  );
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
