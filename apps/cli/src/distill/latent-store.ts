import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { scaledPixels } from "@fdiv/data";
import { mostFileBytes, pictureOf, readBounded } from "@fdiv/data/node";
import type { Autoencoder } from "@fdiv/models";
import { halfToFloat } from "@fdiv/tensor-core";
import { openSafetensors, writeSafetensors } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { Interrupted } from "../failure.ts";
import type { Session } from "../session.ts";

/** The posteriors of pictures' latents, on disk. */
export interface LatentStore {
  /** Mean and log-variance of a picture's latent, unscaled, [height × width × channels] each. */
  read(index: number): { mean: Float32Array; logVariance: Float32Array };
}

export interface LatentOptions {
  autoencoder: Autoencoder;
  /** Height and width of the pictures, cut square and resized. */
  size: number;
  /** Where they are kept. */
  folder: string;
  /** How many pictures are encoded at once. */
  piece: number;
  session: Session;
}

/** Pictures a file; few enough to lose little when it is interrupted. */
const together = 64;

/** Identifies an autoencoder by its numbers. */
async function autoencoderHash({ all, config }: Autoencoder): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(config));
  for (const [name, tensor] of all) hash.update(name).update((await tensor.data()) as Float32Array);
  return hash.digest("hex");
}

/** Means and log-variances of some pictures, [pictures, height, width, 2·channels]. */
function encoded(
  files: Uint8Array[],
  names: string[],
  { autoencoder, size, piece }: LatentOptions,
): tf.Tensor {
  const parts: tf.Tensor[] = [];
  for (let from = 0; from < files.length; from += piece) {
    const pixels = files
      .slice(from, from + piece)
      .map((file, i) => scaledPixels(pictureOf(file, names[from + i]!, size), [0]));
    parts.push(
      tf.tidy(() => {
        const images = tf.stack(pixels.map((values) => tf.tensor(values, [size, size, 3])));
        const { mean, logVariance } = autoencoder.encode(images);
        return tf.concat([mean, logVariance], 3);
      }),
    );
  }
  const all = tf.tidy(() => tf.concat(parts, 0));
  tf.dispose(parts);
  return all;
}

/**
 * The latents' posteriors of pictures, computed once for an autoencoder and a size and kept in half precision, far below their own noise, under a hash of the pictures' bytes.
 *
 * @throws Interrupted when the session is aborted, with what is done kept; DataError naming a picture that can't be read
 */
export async function openLatents(files: readonly string[], options: LatentOptions): Promise<LatentStore> {
  const { autoencoder, size, folder, session } = options;
  const own = await autoencoderHash(autoencoder);
  const side = size / autoencoder.reduction;
  const half = side * side * autoencoder.config.latentChannels;
  const places: { file: string; start: number }[] = [];
  let [made, said] = [0, performance.now()];
  for (let from = 0; from < files.length; from += together) {
    const names = files.slice(from, from + together);
    const bytes = await Promise.all(names.map((name) => readBounded(name, mostFileBytes)));
    const hash = createHash("sha256").update(JSON.stringify([own, size]));
    for (const file of bytes) hash.update(createHash("sha256").update(file).digest());
    const path = join(folder, `${hash.digest("hex").slice(0, 40)}.safetensors`);
    if (!existsSync(path)) {
      if (session.signal.aborted)
        throw new Interrupted(
          `Stopped after the latents of ${from} of ${files.length} pictures; they are kept in ${folder}. Add --resume to go on.`,
        );
      const moments = encoded(bytes, names, options);
      await writeSafetensors(path, [
        { name: "moments", dtype: "F16", shape: moments.shape, data: (await moments.data()) as Float32Array },
      ]);
      moments.dispose();
      made += names.length;
    }
    const opened = await openSafetensors(path);
    const entry = opened.tensors.get("moments");
    await opened.close();
    if (
      entry?.dtype !== "F16" ||
      entry.shape.join() !== [names.length, side, side, (2 * half) / side ** 2].join()
    )
      throw new Error(
        `${path}: holds no latents of ${names.length} pictures; remove it, and they are made anew.`,
      );
    names.forEach((_, i) => {
      places.push({ file: path, start: entry.byteOffset + i * 4 * half });
    });
    if (performance.now() - said > 5000) {
      session.say(`  latents of ${from + names.length} of ${files.length} pictures`);
      said = performance.now();
    }
    // One turn of the event loop, so that a signal is heard.
    await new Promise((resolve) => setImmediate(resolve));
  }
  session.say(`latents of ${files.length} pictures in ${folder}, ${made} of them made now`);
  return {
    read(index) {
      const { file, start } = places[index]!;
      const values = new Uint16Array(2 * half);
      const handle = openSync(file, "r");
      try {
        const read = readSync(handle, values, 0, values.byteLength, start);
        if (read !== values.byteLength) throw new Error(`${file}: ended at byte ${start + read}.`);
      } finally {
        closeSync(handle);
      }
      return split(halfToFloat(values), autoencoder.config.latentChannels);
    },
  };
}

/** Moments [pixels × 2·channels] as mean and log-variance. */
function split(moments: Float32Array, channels: number): ReturnType<LatentStore["read"]> {
  const [mean, logVariance] = [new Float32Array(moments.length / 2), new Float32Array(moments.length / 2)];
  for (let pixel = 0; pixel * 2 * channels < moments.length; pixel++) {
    const at = pixel * 2 * channels;
    mean.set(moments.subarray(at, at + channels), pixel * channels);
    logVariance.set(moments.subarray(at + channels, at + 2 * channels), pixel * channels);
  }
  return { mean, logVariance };
}
