import { classifierFreeGuidance, type Denoiser, type DistilOptions, oneStepGenerator } from "@fdiv/distill";
import { divergence } from "@fdiv/divergences";
import {
  createMlpDenoiser,
  createUnetDenoiser,
  type DiscriminatorHeads,
  discriminatorHeads,
  type MlpDenoiser,
  type UnetDenoiser,
} from "@fdiv/models";
import { loadDenoiser } from "@fdiv/models/node";
import type * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData } from "./distill-data.ts";
import { type DistillConfig, discriminatorOf, trainingOf } from "./distill-schema.ts";
import { emaOf, learnerOf, noiseOf } from "./options-of.ts";
import { sampledLogRatio } from "./sampled-log-ratio.ts";

/** A denoiser that can be saved. */
export type Net = UnetDenoiser | MlpDenoiser;

export const copyNet = (net: Net): Net => net.copy();

/** √mean(x²) of the data: what EDM's preconditioning scales by. */
export function measuredSigmaData(data: DistillData): number {
  const { values } = data.take(0, Math.min(4096, data.size));
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
}

/** A fresh net as the configuration describes it, for this data. */
export function createNet(config: DistillConfig, data: DistillData): Net {
  const { conditional, seed } = config;
  const train = trainingOf(config);
  const { kind, blockChannels, layersPerBlock, attentionLevels, normGroups, headSize, hidden, layers } =
    train.net;
  const sigmaData = train.sigmaData ?? Number(measuredSigmaData(data).toPrecision(3));
  const labels = conditional ? data.classes : 0;
  if (kind === "mlp" || (kind === "auto" && data.kind === "points")) {
    const dimensions = data.shape.reduce((product, n) => product * n, 1);
    return createMlpDenoiser({ dimensions, hidden, layers, labels, sigmaData, seed });
  }
  if (data.kind === "points")
    throw new ConfigError("teacher.train.net.kind: unet is for images; points take an mlp.");
  const [height, width, channels] = data.shape as [number, number, number];
  return createUnetDenoiser({
    channels,
    blockChannels,
    layersPerBlock,
    attentionLevels,
    normGroups,
    headSize,
    labels,
    sigmaData,
    seed,
    ...(height === width && { sampleSize: height }),
  });
}

/** A teacher from its folder, checked against the data. */
export async function openNet(
  { teacher, conditional }: DistillConfig,
  { kind, shape, classes }: DistillData,
): Promise<Net> {
  const path = teacher.model!;
  const net = await loadDenoiser(path, { trainable: true });
  const isUnet = "config" in net;
  if (isUnet && kind === "points") throw new ConfigError(`${path}: a U-Net, and the data are points.`);
  const labels = isUnet ? net.config.labels : net.sizes.labels;
  if (conditional && labels < classes)
    throw new ConfigError(`${path}: the teacher knows ${labels} classes, the data have ${classes}.`);
  const [own, due] = isUnet
    ? [net.config.inChannels, shape.at(-1)!]
    : [net.sizes.dimensions, shape.reduce((product, n) => product * n, 1)];
  if (own !== due)
    throw new ConfigError(
      `${path}: the teacher is of ${own} ${isUnet ? "channels" : "dimensions"}, the data of ${due}.`,
    );
  return net;
}

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

/** Student, fake denoiser and discriminator from a teacher's net, and the options of their distillation. */
export function castOf(config: DistillConfig, net: Net, data: DistillData): Cast {
  const { ratio, conditional, guidance, steps } = config;
  if (ratio.source === "samples" && !data.mixture)
    throw new ConfigError("ratio.source: samples needs the teacher's density, which only a mixture has.");
  if (config.teacher.exact && !data.mixture)
    throw new ConfigError("teacher.exact: only a mixture's denoiser is known exactly.");
  if (conditional && data.classes === 0)
    throw new ConfigError(
      "conditional: the data have no labels; give data.labels, or subfolders as classes.",
    );
  if (guidance && !conditional)
    throw new ConfigError("guidance: there is no class to guide towards; set conditional.");
  const sigmaMax = Math.min(config.sigmaMax ?? net.range[1], net.range[1]);
  const known: Denoiser = config.teacher.exact ? data.mixture! : net;
  const teacher = guidance
    ? classifierFreeGuidance(known, {
        scale: guidance.scale,
        ...(guidance.interval && { interval: guidance.interval }),
      })
    : known;
  const student = copyNet(net);
  const fake = copyNet(net);
  const noise = noiseOf(config.noise ?? { kind: "karras-uniform" }, [net.range[0], sigmaMax]);
  const { over, features, hidden, weight, gradientPenalty } = discriminatorOf(config);
  const judges = ratio.source === "discriminator";
  const discriminator = judges
    ? discriminatorHeads(over === "teacher" ? net : fake, { features, hidden, seed: `heads ${config.seed}` })
    : undefined;
  const generator = oneStepGenerator(student, { sigmaMax });
  const normaliser = ratio.normaliser && {
    bins: ratio.normaliser.bins,
    scale: ratio.normaliser.scale,
    decay: ratio.normaliser.decay,
    range:
      ratio.normaliser.range ?? ([config.noise?.min ?? net.range[0], config.noise?.max ?? sigmaMax] as const),
  };
  const options: DistilOptions = {
    teacher,
    generator,
    fake,
    divergence: divergence(config.divergence),
    latentShape: data.shape,
    steps,
    batchSize: config.batchSize,
    seed: config.seed,
    ...(judges
      ? { data: data.source({ conditional }) }
      : conditional && { conditions: (stream, count) => drawnLabels(data, stream, count) }),
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
    ...(config.fakeNoise && { fakeNoise: noiseOf(config.fakeNoise, [net.range[0], sigmaMax]) }),
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

/** The σ_data that a net was made with; that of EDM where its parametrisation has none. */
export function sigmaDataOf(net: Net): number {
  if ("sizes" in net) return net.sizes.sigmaData;
  const own = net.parametrisation.scheduler?.sigma_data;
  return typeof own === "number" ? own : 0.5;
}

type Stream = Parameters<ReturnType<DistillData["source"]>>[0];

/** Labels as the data has them, without their examples. */
export function drawnLabels(data: DistillData, stream: Stream, count: number): tf.Tensor {
  const { x, condition } = data.source({ conditional: true })(stream, count);
  x.dispose();
  return condition!;
}
