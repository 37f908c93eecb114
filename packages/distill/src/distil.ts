import { reverseKl } from "@fdiv/divergences";
import { type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { discriminatorLoss, generatorAdversarialLoss } from "./adversarial-loss.ts";
import {
  checkDistilOptions,
  type Distillation,
  type DistilOptions,
  type DistilRow,
} from "./distil-options.ts";
import { distributionMatching } from "./distribution-matching.ts";
import { DivergedError } from "./diverged.ts";
import { edmLoss } from "./edm.ts";
import { ema } from "./ema.ts";
import { approximateGradientPenalty, exactGradientPenalty } from "./gradient-penalty.ts";
import { gradientsOf, learner } from "./learner.ts";
import { karrasUniformNoise } from "./noise-distribution.ts";
import { addNoise } from "./noise-level.ts";
import { type RatioNormaliserState, ratioNormaliser } from "./ratio-normaliser.ts";
import { type Snapshot, saveTensors, tensorsUnder } from "./snapshot.ts";
import type { Batch } from "./train-denoiser.ts";
import { untaped } from "./untaped.ts";
import { updateSchedule } from "./update-schedule.ts";

/** What an iteration draws, each from a stream of its own. */
interface Draws {
  z: tf.Tensor;
  condition: tf.Tensor | undefined;
  real: tf.Tensor | undefined;
  streams: Random;
}

/** Reads scalars in one go and frees them. */
async function read(scalars: Record<string, tf.Tensor>): Promise<Record<string, number>> {
  const names = Object.keys(scalars);
  const joined = tf.tidy(() => tf.stack(names.map((name) => tf.reshape(scalars[name]!, []))));
  const values = await joined.data();
  tf.dispose([joined, ...Object.values(scalars)]);
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

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
  const { teacher, generator, fake, discriminator, exactLogRatio, data, divergence = reverseKl } = options;
  const {
    batchSize = 64,
    seed = 0,
    patience = 20,
    matchingWeight = 1,
    discriminatorWeight = 1,
    optimizers = {},
  } = options;
  const { noise = karrasUniformNoise(), latentShape } = options;
  const { fakeNoise = noise } = options;
  const adversarialWeight = options.adversarialWeight ?? (discriminator ? 0.001 : 0);
  const sigmaData = options.sigmaData === undefined ? {} : { sigmaData: options.sigmaData };
  const phaseOf = updateSchedule(options.schedule);
  const normaliser =
    discriminator && !exactLogRatio && options.normaliser !== false
      ? ratioNormaliser(options.normaliser)
      : undefined;
  const average = options.ema && ema(options.ema);
  const learners = {
    generator: learner("generator", generator.parameters, optimizers.generator),
    fake: learner("fake", fake.parameters, optimizers.fake),
    ...(discriminator && {
      discriminator: learner("discriminator", discriminator.parameters, optimizers.discriminator),
    }),
  };
  const source = random(seed);
  let iteration = 0;
  let skipped = 0;
  /** By net: one that trains well must not hide another that does not. */
  let skippedInARow: Record<string, number> = {};

  const normal = (stream: Random, shape: number[]): tf.Tensor =>
    tf.tensor(stream.normal(tf.util.sizeFromShape(shape)), shape);

  function draw(streams: Random): Draws {
    const batch: Batch | undefined = data?.(streams.fork("data"), batchSize);
    return {
      z: normal(streams.fork("latent"), [batchSize, ...latentShape]),
      condition: batch ? batch.condition : options.conditions?.(streams.fork("condition"), batchSize),
      real: batch?.x,
      streams,
    };
  }

  /** The generator's loss; what to log goes into `log`, kept. */
  function generatorLoss({ z, condition, streams }: Draws, log: Record<string, tf.Tensor>): tf.Scalar {
    const stream = streams.fork("generator");
    const generated = generator.generate(z, condition);
    const sigmas = noise.draw(stream.fork("sigma"), batchSize);
    const sigma = tf.tensor1d(sigmas);
    const noised = addNoise(generated, sigma, normal(stream.fork("noise"), generated.shape));
    const logits =
      discriminator && adversarialWeight > 0 ? discriminator.logits(noised, sigma, condition) : undefined;
    const terms: tf.Tensor[] = [];
    if (logits) {
      const adversarial = tf.mean(generatorAdversarialLoss(logits));
      log.adversarialLoss = tf.keep(tf.clone(adversarial));
      terms.push(tf.mul(adversarialWeight, adversarial));
    }
    if (matchingWeight > 0) {
      const judged: Record<string, tf.Tensor> = untaped(() => ({
        teacherDenoised: teacher.denoise(noised, sigma, condition),
        fakeDenoised: fake.denoise(noised, sigma, condition),
        ...(exactLogRatio
          ? { logRatio: exactLogRatio(noised, sigma, condition) }
          : discriminator && { logits: logits ?? discriminator.logits(noised, sigma, condition) }),
      }));
      const { loss, gradient, weights, metrics } = distributionMatching(
        {
          generated,
          sigmas,
          teacherDenoised: judged.teacherDenoised!,
          fakeDenoised: judged.fakeDenoised!,
          ...(judged.logits && { logits: judged.logits }),
          ...(judged.logRatio && { logRatio: judged.logRatio as tf.Tensor1D }),
        },
        {
          divergence,
          ...(normaliser && { normaliser }),
          ...(options.balance !== undefined && { balance: options.balance }),
          ...(options.scale && { scale: options.scale }),
          ...options.ratio,
        },
      );
      const matching = tf.mean(loss);
      Object.assign(log, metrics, { matchingLoss: tf.keep(tf.clone(matching)) });
      terms.push(tf.mul(matchingWeight, matching));
      tf.dispose([weights, judged.teacherDenoised!, judged.fakeDenoised!]);
      for (const name of ["logits", "logRatio"]) judged[name]?.dispose();
      toFree.push(gradient);
    }
    const seen = untaped(() => {
      const { mean, variance } = tf.moments(generated);
      return { outputMean: mean, outputDeviation: tf.sqrt(variance) };
    });
    Object.assign(log, seen);
    return tf.addN(terms) as tf.Scalar;
  }
  /** Kept by a loss for its gradient: freed after the backward pass. */
  const toFree: tf.Tensor[] = [];

  function criticLoss(draws: Draws, generated: tf.Tensor, log: Record<string, tf.Tensor>): tf.Scalar {
    const { condition, real, streams } = draws;
    const stream = streams.fork("critic");
    const fakeSigma = tf.tensor1d(fakeNoise.draw(stream.fork("fake sigma"), batchSize));
    const noised = addNoise(generated, fakeSigma, normal(stream.fork("fake noise"), generated.shape));
    const loss = tf.mean(
      edmLoss(fake.denoise(noised, fakeSigma, condition), generated, fakeSigma, sigmaData),
    );
    log.fakeLoss = tf.keep(tf.clone(loss));
    if (!discriminator || !real) return loss as tf.Scalar;
    const sigma = tf.tensor1d(noise.draw(stream.fork("sigma"), batchSize));
    const noisedReal = addNoise(real, sigma, normal(stream.fork("real noise"), real.shape));
    const noisedFake = addNoise(generated, sigma, normal(stream.fork("noise"), generated.shape));
    const critic = (x: tf.Tensor) => discriminator.logits(x, sigma, condition);
    const logits = { real: critic(noisedReal), generated: critic(noisedFake) };
    const told = tf.mean(discriminatorLoss(logits));
    log.discriminatorLoss = tf.keep(tf.clone(told));
    Object.assign(
      log,
      untaped(() => {
        const right = (x: tf.Tensor) => tf.mean(tf.cast(tf.greater(tf.mean(x, 1), 0), "float32"));
        const both = tf.add(right(logits.real), right(tf.neg(logits.generated)));
        return { discriminatorAccuracy: tf.mul(0.5, both) };
      }),
    );
    const terms = [loss, tf.mul(discriminatorWeight, told)];
    const { gradientPenalty } = options;
    if (gradientPenalty) {
      const { kind, weight, step = 0.01 } = gradientPenalty;
      const penalty = tf.mean(
        kind === "exact"
          ? exactGradientPenalty(critic, noisedReal, { step })
          : approximateGradientPenalty(critic, noisedReal, normal(stream.fork("penalty"), real.shape), {
              deviation: step,
              logits: logits.real,
            }),
      );
      log.gradientPenalty = tf.keep(tf.clone(penalty));
      terms.push(tf.mul(discriminatorWeight * weight, penalty));
    }
    return tf.addN(terms) as tf.Scalar;
  }

  function note(
    row: DistilRow,
    name: "generator" | "fake" | "discriminator",
    step: { norm: number; skipped: boolean },
  ): void {
    row[`${name}GradientNorm`] = step.norm;
    if (step.skipped) skipped++;
    const times = step.skipped ? (skippedInARow[name] ?? 0) + 1 : 0;
    skippedInARow[name] = times;
    if (times >= patience)
      throw new DivergedError(
        `distil: the last ${times} gradients of the ${name} were not finite, up to iteration ${iteration}. Go on from an earlier snapshot with a lower learning rate.`,
      );
  }

  async function trainGenerator(draws: Draws, row: DistilRow): Promise<void> {
    const log: Record<string, tf.Tensor> = {};
    const { value, gradients } = gradientsOf(() => generatorLoss(draws, log), {
      generator: generator.parameters,
    });
    const step = await learners.generator.step(gradients, iteration);
    if (!step.skipped) average?.update(generator.parameters);
    tf.dispose([...gradients.values(), ...toFree.splice(0)]);
    const { effectiveSampleShare, ...numbers } = await read({ ...log, generatorLoss: value });
    Object.assign(
      row,
      numbers,
      effectiveSampleShare !== undefined && { effectiveSamples: effectiveSampleShare * batchSize },
    );
    note(row, "generator", step);
  }

  async function trainCritic(draws: Draws, row: DistilRow): Promise<void> {
    const log: Record<string, tf.Tensor> = {};
    const generated = tf.tidy(() => generator.generate(draws.z, draws.condition));
    const { value, gradients } = gradientsOf(() => criticLoss(draws, generated, log), {
      fake: fake.parameters,
      ...(discriminator && { discriminator: discriminator.parameters }),
    });
    const steps = {
      fake: await learners.fake.step(gradients, iteration),
      discriminator: await learners.discriminator?.step(gradients, iteration),
    };
    tf.dispose([value, generated, ...gradients.values()]);
    Object.assign(row, await read(log));
    note(row, "fake", steps.fake);
    if (steps.discriminator) note(row, "discriminator", steps.discriminator);
  }

  async function step(): Promise<DistilRow> {
    const phase = phaseOf(iteration);
    const row: DistilRow = {
      iteration,
      phase: phase.generator && phase.critic ? "both" : phase.generator ? "generator" : "critic",
      skipped,
    };
    const draws = draw(source.fork(iteration));
    try {
      if (phase.generator) await trainGenerator(draws, row);
      if (phase.critic) await trainCritic(draws, row);
    } finally {
      tf.dispose([
        draws.z,
        ...(draws.condition ? [draws.condition] : []),
        ...(draws.real ? [draws.real] : []),
      ]);
    }
    row.skipped = skipped;
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
        json: {
          iteration,
          skipped,
          skippedInARow: { ...skippedInARow },
          seed,
          emaUpdates: average?.updates ?? 0,
        },
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
      skipped = Number(snapshot.json.skipped);
      skippedInARow = { ...(snapshot.json.skippedInARow as Record<string, number>) };
    },
    dispose() {
      for (const one of Object.values(learners)) one.dispose();
      average?.dispose();
      normaliser?.dispose();
    },
  };
}
