import { createHash } from "node:crypto";
import { classCount, type ImageSet, scaledPixels } from "@fdiv/data";
import { readArrayFile, readImages } from "@fdiv/data/node";
import { type DataSource, dropLabels, type GaussianMixture, gaussianMixture } from "@fdiv/distill";
import { type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { Session } from "../session.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { openTextData, type TextSide } from "./text-data.ts";

/** Examples on the host, with the class of each where there are classes. */
export interface Examples {
  values: Float32Array;
  count: number;
  labels: Int32Array | undefined;
}

/** What is to be generated, whatever it comes from. */
export interface DistillData {
  kind: "images" | "points" | "latents";
  /** Of one example. */
  shape: number[];
  /** 0 where there are no labels. */
  classes: number;
  classNames: string[] | undefined;
  /** How many there are; infinite for a law. */
  size: number;
  /** The law, where the data is one. */
  mixture: GaussianMixture | undefined;
  /** Examples at places of a fixed random order, those of a law as if it had one. */
  take(from: number, count: number): Examples;
  /** Whether there are real examples; captions alone have none. */
  hasExamples: boolean;
  /** What latents and their conditions are made with, where the examples are latents. */
  text?: TextSide;
  /** How many examples are computed at once outside of training. */
  piece: number;
  /** What a denoiser takes for labels: class numbers as they are, or the hidden states of the captions at those places; −1 is none. */
  condition(labels: Int32Array): tf.Tensor;
  /** Labels as the data have them, without their examples. */
  drawLabels(stream: Random, count: number): Int32Array;
  /** Some of the examples as pictures in [−1, 1], latents decoded. */
  pictures(examples: Examples, from: number, count: number): { values: Float32Array; shape: number[] };
  /** Computes what is computed once and kept, before anything is taken. */
  prepare(session: Session): Promise<void>;
  /** Frees what the data brought along. */
  dispose(): void;
  /** Draws of training batches; labels go along where the run is conditional, a share of them left out. */
  source(options: { conditional: boolean; dropLabels?: number }): DataSource;
  /** Identifies the data. */
  fingerprint: string;
}

/** Reads or makes the data of a configuration. */
export async function openData(config: DistillConfig): Promise<DistillData> {
  const { data, seed } = config;
  if (data.captions !== undefined) return openTextData(config);
  if (data.mixture) return mixtureData(data.mixture, seed);
  if (data.points !== undefined) return pointData(data.points, data.limit, seed);
  const images = await readImages(data.images!, {
    ...(data.labels !== undefined && { labels: data.labels }),
    ...(data.size !== undefined && { size: data.size }),
    ...(data.channels !== undefined && { channels: data.channels }),
    ...(data.range && { range: data.range }),
    ...(data.limit !== undefined && { limit: data.limit }),
  });
  if (images.channels === 4)
    throw new ConfigError(`${data.images}: images with an alpha channel; generate three or one.`);
  return imageData(images, data.flip, seed);
}

const order = (size: number, seed: number): Int32Array => random(seed).fork("data order").permutation(size);

/** What data that are no latents have in common: examples drawn by a function, of a shape, with class numbers for conditions. */
function drawable(draw: (stream: Random, count: number) => Examples, shape: readonly number[]) {
  const size = shape.reduce((product, n) => product * n, 1);
  return {
    hasExamples: true,
    piece: 250,
    condition: (labels: Int32Array): tf.Tensor => tf.tensor1d(labels, "int32"),
    drawLabels: (stream: Random, count: number): Int32Array => draw(stream, count).labels!,
    pictures: ({ values }: Examples, from: number, count: number) => ({
      values: values.subarray(from * size, (from + count) * size),
      shape: [...shape],
    }),
    prepare: async () => undefined,
    dispose: () => undefined,
    source: batchSource(draw, shape),
  };
}

/** A batch on the backend from examples on the host. */
function batchSource(
  draw: (stream: Random, count: number) => Examples,
  shape: readonly number[],
): DistillData["source"] {
  return ({ conditional, dropLabels: share = 0 }) =>
    (stream, count) => {
      const { values, labels } = draw(stream, count);
      const x = tf.tensor(values, [count, ...shape]);
      if (!conditional || !labels) return { x };
      const kept = share > 0 ? dropLabels(labels, share, stream.fork("dropped labels")) : labels;
      return { x, condition: tf.tensor1d(kept, "int32") };
    };
}

/** Places in a finite set, each drawn anew. */
const places = (stream: Random, count: number, size: number): Int32Array =>
  Int32Array.from(stream.fork("places").uniform(count), (u) => Math.min(size - 1, Math.floor(u * size)));

function mirrored(values: Float32Array, { height, width, channels }: ImageSet, stream: Random): Float32Array {
  const size = height * width * channels;
  const coins = stream.fork("mirror").uniform(values.length / size);
  coins.forEach((coin, i) => {
    if (coin < 0.5) return;
    const own = values.slice(i * size, (i + 1) * size);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++)
          values[i * size + (y * width + x) * channels + c] =
            own[(y * width + width - 1 - x) * channels + c]!;
  });
  return values;
}

function imageData(images: ImageSet, flip: boolean, seed: number): DistillData {
  const { count: size, height, width, channels, pixels, labels } = images;
  const shape = [height, width, channels];
  const at = (indices: Int32Array): Examples => ({
    values: scaledPixels(images, indices),
    count: indices.length,
    labels: labels && Int32Array.from(indices, (i) => labels[i]!),
  });
  const shuffled = order(size, seed);
  const draw = (stream: Random, count: number): Examples => {
    const drawn = at(places(stream, count, size));
    return flip ? { ...drawn, values: mirrored(drawn.values, images, stream) } : drawn;
  };
  return {
    kind: "images",
    shape,
    classes: classCount(images),
    classNames: images.classes,
    size,
    mixture: undefined,
    take: (from, count) => at(shuffled.subarray(from, from + count)),
    ...drawable(draw, shape),
    fingerprint: createHash("sha256")
      .update(JSON.stringify(shape))
      .update(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength))
      .update(labels ? new Uint8Array(labels.buffer) : "")
      .digest("hex"),
  };
}

async function pointData(file: string, limit: number | undefined, seed: number): Promise<DistillData> {
  const { shape, values } = await readArrayFile(file);
  const [rows = 0, dimensions = 0] = shape;
  if (shape.length !== 2 || rows === 0 || dimensions === 0)
    throw new ConfigError(`${file}: points have the shape [${shape}], expected [count, dimensions].`);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new ConfigError(`${file}: value ${wrong} is ${values[wrong]}.`);
  const size = Math.min(rows, limit ?? rows);
  const at = (indices: Int32Array): Examples => {
    const out = new Float32Array(indices.length * dimensions);
    indices.forEach((index, i) => {
      out.set(values.subarray(index * dimensions, (index + 1) * dimensions), i * dimensions);
    });
    return { values: out, count: indices.length, labels: undefined };
  };
  const shuffled = order(size, seed);
  return {
    kind: "points",
    shape: [dimensions],
    classes: 0,
    classNames: undefined,
    size,
    mixture: undefined,
    take: (from, count) => at(shuffled.subarray(from, from + count)),
    ...drawable((stream, count) => at(places(stream, count, size)), [dimensions]),
    fingerprint: createHash("sha256")
      .update(JSON.stringify(shape))
      .update(Float32Array.from(values.subarray(0, size * dimensions)))
      .digest("hex"),
  };
}

type MixtureConfig = NonNullable<DistillConfig["data"]["mixture"]>;

function componentsOf({ ring, grid, components }: MixtureConfig) {
  if (ring)
    return Array.from({ length: ring.modes }, (_, k) => {
      const angle = (2 * Math.PI * k) / ring.modes;
      return {
        mean: [ring.radius * Math.cos(angle), ring.radius * Math.sin(angle)],
        covariance: ring.deviation ** 2,
      };
    });
  if (grid)
    return Array.from({ length: grid.side ** 2 }, (_, k) => ({
      mean: [k % grid.side, Math.floor(k / grid.side)].map(
        (place) => grid.spacing * (place - (grid.side - 1) / 2),
      ),
      covariance: grid.deviation ** 2,
    }));
  return components!.map(({ weight, ...rest }) => ({ ...rest, ...(weight !== undefined && { weight }) }));
}

function mixtureData(config: MixtureConfig, seed: number): DistillData {
  const components = componentsOf(config);
  const mixture = gaussianMixture(components);
  const shape = [mixture.dimensions];
  const draw = (stream: Random, count: number): Examples => ({ count, ...mixture.sample(stream, count) });
  return {
    kind: "points",
    shape,
    classes: components.length,
    classNames: undefined,
    size: Number.POSITIVE_INFINITY,
    mixture,
    take: (from, count) => draw(random(seed).fork("law").fork(from), count),
    ...drawable(draw, shape),
    fingerprint: createHash("sha256").update(JSON.stringify(components)).digest("hex"),
  };
}
