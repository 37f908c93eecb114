import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  alignRun,
  checkConfig,
  dpoSchema,
  openSession,
  ppoSchema,
  raiseRewardRun,
  type Session,
} from "@fdiv/cli";
import { writeDurably } from "@fdiv/trainer/node";
import type { Size } from "../base-model.ts";
import { type Figures, overSeeds } from "../figures.ts";
import { pathPart, sweep } from "../sweep.ts";
import { type Judgement, judge } from "./judge.ts";
import { type Material, maxTokens, preferenceMaterial } from "./material.ts";
import { type Method, type MethodRow, nameOf } from "./method.ts";

export interface PreferenceMethodsOptions {
  material: string;
  output: string;
  size: Size;
  methods: readonly Method[];
  /** f-DPO's β. */
  betas: readonly number[];
  /** PPO's coefficients. */
  coefficients: readonly number[];
  seeds: readonly number[];
  dpo: { epochs: number; learningRate: number };
  ppo: { steps: number; learningRate: number };
}

async function trainByPairs(
  { divergence }: Method,
  beta: number,
  seed: number,
  output: string,
  material: Material,
  { dpo, material: folder }: PreferenceMethodsOptions,
  session: Session,
  resume: boolean,
): Promise<void> {
  const config = checkConfig(
    dpoSchema,
    {
      model: material.model,
      data: { train: material.pairs, eval: 0, maxLength: 48, template: "plain" },
      divergence,
      beta,
      learningRate: dpo.learningRate,
      epochs: dpo.epochs,
      batchSize: 32,
      output,
      cache: join(folder, "cache"),
      checkpointEvery: 1_000_000,
      seed,
    },
    "f-DPO",
  );
  await alignRun(config, session, { resume });
}

async function trainByReward(
  { divergence, place }: Method,
  coefficient: number,
  seed: number,
  output: string,
  material: Material,
  { ppo }: PreferenceMethodsOptions,
  session: Session,
  resume: boolean,
): Promise<void> {
  const config = checkConfig(
    ppoSchema,
    {
      model: material.model,
      reward: { sentiment: true },
      prompts: material.trainingPrompts,
      divergence,
      // Per sequence everywhere: what is held is D_f(π‖ref) itself, as in f-DPO.
      penalty: { place, per: "sequence", coefficient },
      promptsPerStep: 64,
      samplesPerPrompt: 2,
      epochs: 2,
      minibatch: 64,
      maxTokens,
      chunk: 128,
      steps: ppo.steps,
      learningRate: ppo.learningRate,
      schedule: "linear",
      evaluationSamples: 1,
      checkpointEvery: 1_000_000,
      samplesEvery: 1_000_000,
      seed,
      output,
    },
    "PPO",
  );
  await raiseRewardRun(config, session, { resume });
}

/**
 * f-DPO against PPO (arXiv 2309.16240, section 5) in the small: one base model, one exactly known reward; every method × β × seed trained, and judged
 * alike. Runs that are finished are not repeated.
 */
export async function preferenceMethods(
  options: PreferenceMethodsOptions,
): Promise<{ rows: MethodRow[]; reference: Figures }> {
  const { output, methods, seeds } = options;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  try {
    const material = await preferenceMaterial(options.material, options.size, session);
    const settings = methods.flatMap((method) =>
      (method.method === "f-DPO" ? options.betas : options.coefficients).map((beta) => ({ method, beta })),
    );
    const runs = settings.flatMap(({ method, beta }) =>
      seeds.map((seed, round) => {
        const directory = join(output, pathPart(`${nameOf(method)}-${beta}-seed${seed}`));
        return {
          directory,
          round,
          result: "judgement.json",
          async make(quiet: Session, resume: boolean) {
            const train = method.method === "f-DPO" ? trainByPairs : trainByReward;
            await train(method, beta, seed, directory, material, options, quiet, resume);
            const held = { name: method.divergence, beta };
            const judged = await judge(join(directory, "model"), material, held, seed);
            await writeDurably(join(directory, "judgement.json"), `${JSON.stringify(judged, null, 2)}\n`);
          },
        };
      }),
    );
    const references = await sweep<Judgement>(
      "reference",
      seeds.map((seed) => ({
        directory: join(output, `reference-seed${seed}`),
        result: "judgement.json",
        async make() {
          const judged = await judge(material.model, material, { name: "reverse-kl", beta: 1 }, seed);
          const file = join(output, `reference-seed${seed}`, "judgement.json");
          await writeDurably(file, `${JSON.stringify(judged, null, 2)}\n`);
        },
      })),
      session,
    );
    const results = await sweep<Judgement>("f-DPO against PPO", runs, session);
    const rows = settings.map(({ method, beta }, i): MethodRow => {
      const bySeed = results.slice(i * seeds.length, (i + 1) * seeds.length);
      return { ...method, beta, figures: overSeeds(bySeed), bySeed };
    });
    const reference = overSeeds(references);
    await writeFile(join(output, "methods.json"), `${JSON.stringify({ reference, rows }, null, 2)}\n`);
    return { rows, reference };
  } finally {
    session.close();
  }
}
