import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  createMlpDenoiser,
  createUnetDenoiser,
  type MlpDenoiser,
  type TextDenoiser,
  type UnetDenoiser,
} from "@fdiv/models";
import { isTextToImageFolder, loadDenoiser, loadTextDenoiser } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { netOf, trainingOf } from "./teacher-schema.ts";

/** A denoiser that can be saved. */
export type Net = UnetDenoiser | MlpDenoiser | TextDenoiser;

export const copyNet = (net: Net): Net => net.copy();

/** Whether a net is conditioned by texts. */
export const isTextNet = (net: Net): net is TextDenoiser => "config" in net && "textSize" in net.config;

/** σ of each step of a net's discrete schedule, where it has one. */
export const levelsOf = (net: Net): readonly number[] | undefined =>
  "parametrisation" in net ? net.parametrisation.levels : undefined;

/** √mean(x²) of the data: what EDM's preconditioning scales by. */
function measuredSigmaData(data: DistillData): number {
  const { values } = data.take(0, Math.min(4096, data.size));
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
}

/** The σ_data of a fresh net: as the configuration says, else measured. */
export const sigmaDataFor = (config: DistillConfig, data: DistillData): number =>
  trainingOf(config).sigmaData ?? Number(measuredSigmaData(data).toPrecision(3));

/** Refuses images that a U-Net can't halve at each of its levels but the last. */
function checkSides({ shape }: DistillData, levels: number, where: string, remedy: string): void {
  const divisor = 2 ** (levels - 1);
  if (shape[0]! % divisor !== 0 || shape[1]! % divisor !== 0)
    throw new ConfigError(
      `${where}: ${levels} levels halve images ${levels - 1} times, so sides must be multiples of ${divisor}; they are ${shape[0]} × ${shape[1]}. ${remedy}`,
    );
}

/** A fresh net as the configuration describes it, for this data. @throws ConfigError where it does not fit */
export function createNet(config: DistillConfig, data: DistillData): UnetDenoiser | MlpDenoiser {
  const { conditional, seed } = config;
  const net = netOf(trainingOf(config).net, data.kind === "images");
  const sigmaData = sigmaDataFor(config, data);
  const labels = conditional ? data.classes : 0;
  if (net.kind === "mlp") {
    const { hidden, layers } = net;
    const dimensions = data.shape.reduce((product, n) => product * n, 1);
    return createMlpDenoiser({ dimensions, hidden, layers, labels, sigmaData, seed });
  }
  const { kind: _, ...sizes } = net;
  if (data.kind === "points")
    throw new ConfigError("teacher.train.net.kind: unet is for images; points take an mlp.");
  const [height, width, channels] = data.shape as [number, number, number];
  checkSides(
    data,
    sizes.blockChannels.length,
    "teacher.train.net.blockChannels",
    "Give fewer levels, or another data.size.",
  );
  return createUnetDenoiser({
    channels,
    ...sizes,
    labels,
    sigmaData,
    seed,
    ...(height === width && { sampleSize: height }),
  });
}

/** A text-to-image teacher from its pipeline's folder, checked against the latents. */
async function openTextNet(path: string, { shape }: DistillData): Promise<TextDenoiser> {
  const net = await loadTextDenoiser(path);
  const divisor = 2 ** (net.config.blockChannels.length - 1);
  if (shape[0]! % divisor !== 0) {
    net.dispose();
    throw new ConfigError(
      `data.size: latents of ${shape[0]} × ${shape[0]} are given to a teacher that halves them ${Math.log2(divisor)} times; their side must be a multiple of ${divisor}.`,
    );
  }
  return net;
}

/** Points to the teacher where the run around it is given. */
function checkIsNoRun(path: string): void {
  if (!existsSync(join(path, "metrics.jsonl"))) return;
  const inside = [join(path, "model"), join(path, "teacher", "model")].find((folder) => existsSync(folder));
  throw new ConfigError(
    `teacher.model: ${path} is a run's directory${inside ? `; its teacher is in ${inside}` : ", and holds no teacher"}.`,
  );
}

/** A teacher from its folder, checked against the data. @throws ConfigError where it does not fit them */
export async function openNet({ teacher, conditional }: DistillConfig, data: DistillData): Promise<Net> {
  const { kind, shape, classes } = data;
  const path = teacher.model!;
  checkIsNoRun(path);
  if (data.text) return openTextNet(path, data);
  if (await isTextToImageFolder(path))
    throw new ConfigError(`${path}: a text-to-image pipeline; give data.captions to distil it with.`);
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
  if (isUnet)
    checkSides(data, net.config.blockChannels.length, `teacher.model: ${path}`, "Give another data.size.");
  return net;
}

/** The σ_data that a net was made with; 1 of latents, which are scaled to it, else EDM's where the parametrisation has none. */
export function sigmaDataOf(net: Net): number {
  if ("sizes" in net) return net.sizes.sigmaData;
  if (isTextNet(net)) return 1;
  const own = net.parametrisation.scheduler?.sigma_data;
  return typeof own === "number" ? own : 0.5;
}
