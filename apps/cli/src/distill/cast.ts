import {
  classifierFreeGuidance,
  type Denoiser,
  type DistilOptions,
  noLabel,
  oneStepGenerator,
} from "@fdiv/distill";
import { divergence } from "@fdiv/divergences";
import { type DiscriminatorHeads, discriminatorHeads } from "@fdiv/models";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData } from "./distill-data.ts";
import { type DistillConfig, discriminatorOf, isConditional, type NoiseConfig } from "./distill-schema.ts";
import { copyNet, levelsOf, type Net, sigmaDataOf } from "./nets.ts";
import { checkLevel, emaOf, learnerOf, noiseOf, normaliserOf } from "./options-of.ts";
import { sampledLogRatio } from "./sampled-log-ratio.ts";

/** Everything that takes turns, and what it is made of. */
export interface Cast {
  options: DistilOptions;
  /** What is sampled and measured as the teacher. */
  teacher: Denoiser;
  student: Net;
  fake: Net;
  discriminator: DiscriminatorHeads | undefined;
  sigmaMax: number;
  dispose(): void;
}

/** What stands for no condition: computed once for a batch, of whose examples all have the same. */
const noCondition = (data: DistillData, batch: number): tf.Tensor =>
  tf.tidy(() => {
    const one = data.condition(Int32Array.of(noLabel));
    return tf.tile(one, [batch, ...new Array<number>(one.rank - 1).fill(1)]);
  });

/** Student, fake denoiser and discriminator from a teacher's net, and the options of their distillation. */
export function castOf(config: DistillConfig, net: Net, data: DistillData): Cast {
  const { ratio, guidance, steps } = config;
  const conditional = isConditional(config);
  const judges = ratio.source === "discriminator";
  if (ratio.source === "samples" && !data.mixture)
    throw new ConfigError("ratio.source: samples needs the teacher's density, which only a mixture has.");
  if (config.teacher.exact && !data.mixture)
    throw new ConfigError("teacher.exact: only a mixture's denoiser is known exactly.");
  if (conditional && !data.text && data.classes === 0)
    throw new ConfigError(
      "conditional: the data have no labels; give data.labels, or subfolders as classes.",
    );
  if (judges && !data.hasExamples)
    throw new ConfigError(
      "ratio.source: a discriminator needs real images, and the captions have none; give them images, or take none with reverse-kl.",
    );
  if (guidance && !conditional)
    throw new ConfigError("guidance: there is no class to guide towards; set conditional.");
  const levels = levelsOf(net);
  const teachers = { range: net.range, levels };
  checkLevel(config.sigmaMax, teachers, "sigmaMax");
  const sigmaMax = config.sigmaMax ?? net.range[1];
  const lawOf = (noise: NoiseConfig, key: string) => noiseOf(noise, key, teachers, sigmaMax);
  const noise = lawOf(config.noise ?? { kind: "karras-uniform" }, "noise");
  const known: Denoiser = config.teacher.exact ? data.mixture! : net;
  const teacher = guidance
    ? classifierFreeGuidance(known, {
        scale: guidance.scale,
        ...(guidance.interval && { interval: guidance.interval }),
        negative: (batch) => noCondition(data, batch),
      })
    : known;
  const student = copyNet(net);
  const fake = copyNet(net);
  const range = [net.range[0], sigmaMax] as const;
  const { over, features, hidden, weight, gradientPenalty } = discriminatorOf(config);
  const discriminator = judges
    ? discriminatorHeads(over === "teacher" ? net : fake, { features, hidden, seed: `heads ${config.seed}` })
    : undefined;
  const generator = oneStepGenerator(student, { sigmaMax });
  const normaliser = ratio.normaliser && normaliserOf(ratio.normaliser, config.noise, range, levels);
  const options: DistilOptions = {
    teacher,
    generator,
    fake,
    divergence: divergence(config.divergence),
    latentShape: data.shape,
    steps,
    batchSize: config.batchSize,
    ...(config.microBatch !== undefined && { microBatch: config.microBatch }),
    seed: config.seed,
    ...(judges
      ? { data: data.source({ conditional }) }
      : conditional && { conditions: (stream, count) => data.condition(data.drawLabels(stream, count)) }),
    ...(config.adversarialWeight !== undefined && { adversarialWeight: config.adversarialWeight }),
    ...(discriminator && {
      discriminator,
      ratio: {
        ...(ratio.logitClamp !== undefined && { logitClamp: ratio.logitClamp }),
        ...(ratio.range && { range: ratio.range }),
      },
      ...(normaliser !== undefined && { normaliser }),
      discriminatorWeight: weight,
      ...(gradientPenalty && {
        gradientPenalty: {
          kind: gradientPenalty.kind,
          weight: gradientPenalty.weight,
          ...(gradientPenalty.step !== undefined && { step: gradientPenalty.step }),
        },
      }),
    }),
    ...(ratio.source === "samples" && {
      exactLogRatio: sampledLogRatio(data, generator, {
        samples: ratio.samples ?? 1024,
        seed: config.seed,
        conditional,
      }),
    }),
    matchingWeight: config.matchingWeight,
    noise,
    ...(config.fakeNoise && { fakeNoise: lawOf(config.fakeNoise, "fakeNoise") }),
    fakeLoss: config.fakeLoss,
    sigmaData: sigmaDataOf(net),
    schedule: config.schedule,
    balance: config.balance,
    scale: config.scale,
    optimizers: {
      generator: learnerOf(config.optimizers.generator, steps),
      fake: learnerOf(config.optimizers.fake, steps),
      discriminator: learnerOf(config.optimizers.discriminator, steps),
    },
    ...emaOf(config.ema),
    patience: config.patience,
  };
  return {
    options,
    teacher,
    student,
    fake,
    discriminator,
    sigmaMax,
    dispose() {
      student.dispose();
      fake.dispose();
      discriminator?.dispose();
    },
  };
}
