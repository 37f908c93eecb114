import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Captioned, readCaptions } from "@fdiv/data/node";
import type { TextToImage } from "@fdiv/models";
import { clipTextIds, clipTextStates, disposeModel } from "@fdiv/models";
import { cacheFolder, loadTextSide } from "@fdiv/models/node";
import { type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { type LatentStore, openLatents } from "./latent-store.ts";

/** What a text-to-image teacher's latents and conditions are made with. */
export type TextSide = Omit<TextToImage, "denoiser">;

const piecePixels = 1 << 18;
const pieceTexts = 64;

interface Source {
  captions: string;
  pictures?: string | undefined;
  size?: number | undefined;
  limit?: number | undefined;
}

/** Each example's captions as places in one list. */
function listed(rows: readonly Captioned[]): { texts: string[]; first: Int32Array } {
  const texts: string[] = [];
  const first = new Int32Array(rows.length + 1);
  rows.forEach(({ captions }, i) => {
    texts.push(...captions);
    first[i + 1] = texts.length;
  });
  return { texts, first };
}

/** All pictures, or none where no row has one. @throws ConfigError where some have */
function picturesOf(rows: readonly Captioned[], path: string): string[] {
  const pictures = rows.flatMap(({ image }) => (image === undefined ? [] : [image]));
  if (pictures.length > 0 && pictures.length < rows.length)
    throw new ConfigError(
      `${path}: ${rows.length - pictures.length} of ${rows.length} captions have no image; give one to all of them or to none.`,
    );
  return pictures;
}

async function fingerprintOf(
  rows: readonly Captioned[],
  pictures: readonly string[],
  size: number,
): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([size, rows]));
  for (const file of pictures) {
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) throw new ConfigError(`${file}: no such picture.`);
    hash.update(`${found.size} `);
  }
  return hash.digest("hex");
}

/** Hidden states of texts, −1 the empty one, computed in pieces. */
function statesOf({ text }: TextSide, texts: readonly string[], labels: Int32Array): tf.Tensor {
  const parts: tf.Tensor[] = [];
  for (let from = 0; from < labels.length; from += pieceTexts) {
    const some = Array.from(labels.subarray(from, from + pieceTexts), (i) => (i < 0 ? "" : texts[i]!));
    parts.push(clipTextStates(text, clipTextIds(text, some), some.length));
  }
  const all = parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
  if (parts.length > 1) tf.dispose(parts);
  return all;
}

/**
 * Captions, with the latents of their pictures where they have some, for a text-to-image teacher.
 *
 * @param side used, and left to its owner, where it is open already
 */
export async function openTextData(
  { teacher, seed, data, microBatch, batchSize }: DistillConfig,
  source: Source = { ...data, captions: data.captions! },
  side?: TextSide,
): Promise<DistillData> {
  const rows = await readCaptions(source.captions, {
    ...(source.pictures !== undefined && { images: source.pictures }),
    ...(source.limit !== undefined && { limit: source.limit }),
  });
  const pictures = picturesOf(rows, source.captions);
  const own = side ?? (await loadTextSide(teacher.model!));
  const { autoencoder, text } = own;
  const size = source.size ?? autoencoder.config.sampleSize ?? 512;
  const { reduction, config } = autoencoder;
  if (size % reduction !== 0)
    throw new ConfigError(`data.size: ${size} is no multiple of ${reduction}, as the autoencoder needs.`);
  if (pictures.length > 0 && config.inChannels !== 3)
    throw new ConfigError(
      `${teacher.model}: an autoencoder of ${config.inChannels} channels; pictures have 3.`,
    );
  const shape = [size / reduction, size / reduction, config.latentChannels];
  const numbers = shape.reduce((product, n) => product * n, 1);
  const { texts, first } = listed(rows);
  const shuffled = random(seed).fork("data order").permutation(rows.length);
  const picturePiece = Math.max(1, Math.floor(piecePixels / size ** 2));
  let store: LatentStore | undefined;

  const captionsOf = (places: Int32Array, stream: Random): Int32Array =>
    Int32Array.from(stream.fork("caption").uniform(places.length), (u, i) => {
      const [from, to] = [first[places[i]!]!, first[places[i]! + 1]!];
      return Math.min(to - 1, from + Math.floor(u * (to - from)));
    });
  const placesOf = (stream: Random, count: number): Int32Array =>
    Int32Array.from(stream.fork("places").uniform(count), (u) =>
      Math.min(rows.length - 1, Math.floor(u * rows.length)),
    );
  const latents = (places: Int32Array, noise?: Float32Array): Float32Array => {
    if (!store) throw new Error("the pictures' latents are not made yet.");
    const values = new Float32Array(places.length * numbers);
    places.forEach((place, i) => {
      const { mean, logVariance } = store!.read(place);
      for (let k = 0; k < numbers; k++) {
        const away = noise ? Math.exp(logVariance[k]! / 2) * noise[i * numbers + k]! : 0;
        values[i * numbers + k] = config.scalingFactor * (mean[k]! + away);
      }
    });
    return values;
  };
  const condition = (labels: Int32Array) => statesOf(own, texts, labels);

  return {
    kind: "latents",
    shape,
    classes: 0,
    classNames: undefined,
    size: rows.length,
    mixture: undefined,
    hasExamples: pictures.length > 0,
    text: own,
    piece: Math.min(microBatch ?? batchSize, Math.max(1, Math.floor(piecePixels / numbers))),
    condition,
    drawLabels: (stream, count) => captionsOf(placesOf(stream, count), stream),
    take(from, count): Examples {
      const places = shuffled.subarray(from, from + count);
      const values = pictures.length > 0 ? latents(places) : new Float32Array(0);
      return { values, count: places.length, labels: Int32Array.from(places, (place) => first[place]!) };
    },
    source: () => (stream, count) => {
      const places = placesOf(stream, count);
      const noise = stream.fork("posterior").normal(count * numbers);
      return {
        x: tf.tensor(latents(places, noise), [count, ...shape]),
        condition: condition(captionsOf(places, stream)),
      };
    },
    pictures({ values }, from, count) {
      const parts: Float32Array[] = [];
      for (let at = from; at < from + count; at += picturePiece) {
        const some = Math.min(picturePiece, from + count - at);
        const decoded = tf.tidy(() =>
          autoencoder.decode(
            tf.tensor(values.subarray(at * numbers, (at + some) * numbers), [some, ...shape]),
          ),
        );
        parts.push(Float32Array.from(decoded.dataSync()));
        decoded.dispose();
      }
      const each = size * size * config.outChannels;
      const joined = new Float32Array(count * each);
      let at = 0;
      for (const part of parts) {
        joined.set(part, at);
        at += part.length;
      }
      return { values: joined, shape: [size, size, config.outChannels] };
    },
    async prepare(session) {
      if (pictures.length === 0 || store) return;
      const folder = data.cache ?? join(cacheFolder(), "latents");
      store = await openLatents(pictures, { autoencoder, size, folder, piece: picturePiece, session });
    },
    dispose() {
      if (side) return;
      autoencoder.dispose();
      disposeModel(text);
    },
    fingerprint: await fingerprintOf(rows, pictures, size),
  };
}
