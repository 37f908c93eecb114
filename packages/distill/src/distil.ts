import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { accumulate, readScalars } from "./accumulate.ts";
import { criticLoss } from "./critic-loss.ts";
import {
  checkDistilOptions,
  type Distillation,
  type DistilOptions,
  type DistilRow,
} from "./distil-options.ts";
import { distilSetting } from "./distil-setting.ts";
import { ema } from "./ema.ts";
import { batchWeights, generatorLoss } from "./generator-loss.ts";
import { type IterationDraws, iterationDraws } from "./iteration-draws.ts";
import { learner } from "./learner.ts";
import type { RatioNormaliserState } from "./ratio-normaliser.ts";
import { skippedSteps } from "./skipped-steps.ts";
import { type Snapshot, saveTensors, tensorsUnder } from "./snapshot.ts";
import { untaped } from "./untaped.ts";
import { updateSchedule } from "./update-schedule.ts";

/**
 * Distils a diffusion teacher into a one-step generator under an f-divergence (f-distill, https://arxiv.org/abs/2502.15681; with reverse KL DMD2,
 * https://arxiv.org/abs/2405.14867). Generator, fake denoiser and discriminator take turns; each iteration yields one row.
 *
 * Every iteration's random numbers are a function of the seed and its number, so a saved and loaded distillation goes on exactly. A gradient that is not
 * finite changes nothing and is counted.
 *
 * @throws InadmissibleWeightError, RangeError on options that mean nothing together; while iterating, DivergedError
 */
export function distil(options: DistilOptions): Distillation {
  checkDistilOptions(options);
  const setting = distilSetting(options);
  const {
    generator,
    fake,
    discriminator,
    normaliser,
    optimizers = {},
    batchSize,
    microBatch,
    seed,
  } = setting;
  const phaseOf = updateSchedule(options.schedule);
  const average = options.ema && ema(options.ema);
  const learners = {
    generator: learner("generator", generator.parameters, optimizers.generator),
    fake: learner("fake", fake.parameters, optimizers.fake),
    ...(discriminator && {
      discriminator: learner("discriminator", discriminator.parameters, optimizers.discriminator),
    }),
  };
  const source = random(seed);
  const skipped = skippedSteps(setting.patience);
  let iteration = 0;

  async function update(
    net: "generator" | "fake" | "discriminator",
    gradients: ReadonlyMap<string, tf.Tensor>,
    row: DistilRow,
  ): Promise<() => void> {
    const step = await learners[net]!.step(gradients, iteration);
    if (net === "generator" && !step.skipped) average?.update(generator.parameters);
    row[`${net}GradientNorm`] = step.norm;
    return () => skipped.note(net, step.skipped, iteration);
  }

  async function trainGenerator(draws: IterationDraws, row: DistilRow): Promise<void> {
    const whole = batchWeights(setting, draws);
    let from = 0;
    const { gradients, logged } = await accumulate(
      draws,
      (piece, log, toFree) => {
        const weights = whole && tf.slice(whole.weights, from, microBatch);
        from += microBatch;
        return generatorLoss(setting, piece, weights, log, toFree);
      },
      { generator: generator.parameters },
      { outputDeviation: "outputMean" },
    );
    const count = await update("generator", gradients, row);
    tf.dispose([...gradients.values(), ...(whole ? [whole.weights] : [])]);
    const { effectiveSampleShare, total, ...numbers } = {
      ...logged,
      ...(whole && (await readScalars(whole.metrics))),
    } as Record<string, number>;
    Object.assign(
      row,
      numbers,
      { generatorLoss: total },
      effectiveSampleShare !== undefined && { effectiveSamples: effectiveSampleShare * batchSize },
    );
    count();
  }

  async function trainCritic(draws: IterationDraws, row: DistilRow): Promise<void> {
    const { gradients, logged } = await accumulate(
      draws,
      (piece, log, toFree) => {
        const { generated } = untaped(() => ({ generated: generator.generate(piece.z, piece.condition) }));
        toFree.push(generated);
        return criticLoss(setting, piece, generated, log);
      },
      { fake: fake.parameters, ...(discriminator && { discriminator: discriminator.parameters }) },
    );
    const counts = [await update("fake", gradients, row)];
    if (discriminator) counts.push(await update("discriminator", gradients, row));
    tf.dispose([...gradients.values()]);
    const { total: _, ...numbers } = logged;
    Object.assign(row, numbers);
    for (const count of counts) count();
  }

  async function step(): Promise<DistilRow> {
    const phase = phaseOf(iteration);
    const row: DistilRow = {
      iteration,
      phase: phase.generator && phase.critic ? "both" : phase.generator ? "generator" : "critic",
      skipped: skipped.total,
    };
    const draws = iterationDraws(setting, source.fork(iteration));
    try {
      if (phase.generator) await trainGenerator(draws, row);
      if (phase.critic) await trainCritic(draws, row);
    } finally {
      draws.dispose();
    }
    row.skipped = skipped.total;
    iteration++;
    return row;
  }

  return {
    async *[Symbol.asyncIterator]() {
      while (iteration < options.steps) yield await step();
    },
    get iteration() {
      return iteration;
    },
    ema: average,
    async save() {
      const snapshot: Snapshot = {
        tensors: new Map(),
        json: { iteration, ...skipped.save(), seed, emaUpdates: average?.updates ?? 0 },
      };
      for (const one of Object.values(learners)) await one.save(snapshot);
      if (average) await saveTensors(snapshot, "ema.", average.parameters);
      if (normaliser) snapshot.json.bins = await normaliser.state();
      return snapshot;
    },
    load(snapshot) {
      if (snapshot.json.seed !== seed)
        throw new Error(
          `load: the snapshot's seed is ${snapshot.json.seed}, this run's ${seed}; it would not go on as it began.`,
        );
      for (const one of Object.values(learners)) one.load(snapshot);
      if (average) {
        const tensors = tensorsUnder(snapshot, "ema.");
        average.load({ tensors, updates: Number(snapshot.json.emaUpdates) });
        for (const tensor of tensors.values()) tensor.dispose();
      }
      if (normaliser) normaliser.load(snapshot.json.bins as RatioNormaliserState);
      iteration = Number(snapshot.json.iteration);
      skipped.load(snapshot.json);
    },
    dispose() {
      for (const one of Object.values(learners)) one.dispose();
      average?.dispose();
      normaliser?.dispose();
    },
  };
}
