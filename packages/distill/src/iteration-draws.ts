import type { Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DistilSetting } from "./distil-setting.ts";
import type { NoiseDistribution } from "./noise-distribution.ts";

/** Some examples of an iteration's batch, with the random numbers that are theirs. */
export interface Piece {
  /** Of the batch's size. */
  readonly share: number;
  readonly z: tf.Tensor;
  readonly condition: tf.Tensor | undefined;
  readonly real: tf.Tensor | undefined;
  /** A noise level each, from the stream of a name. */
  sigmas(law: NoiseDistribution, ...stream: string[]): Float32Array;
  /** Standard normal numbers in a shape whose first axis is the piece's size. */
  normal(shape: readonly number[], ...stream: string[]): tf.Tensor;
}

/** What an iteration draws: all of it from streams of their own and for the whole batch, so that it is the same however the batch is split. */
export interface IterationDraws {
  /** One after the other; a piece's tensors are freed when the next one is asked for, and at the end. */
  pieces(): Generator<Piece>;
  dispose(): void;
}

export function iterationDraws(
  { batchSize, microBatch, latentShape, data, conditions }: DistilSetting,
  streams: Random,
): IterationDraws {
  const batch = data?.(streams.fork("data"), batchSize);
  const condition = batch ? batch.condition : conditions?.(streams.fork("condition"), batchSize);
  const whole = [batch?.x, condition].filter((tensor) => tensor !== undefined);
  const kept = new Map<string, Float32Array>();
  const drawn = (path: string[], size: number, draw: (stream: Random) => Float32Array): Float32Array => {
    const key = [...path, size].join("\0");
    const values = kept.get(key) ?? draw(path.reduce((stream, name) => stream.fork(name), streams));
    // One piece needs its numbers once.
    if (microBatch < batchSize) kept.set(key, values);
    return values;
  };

  const pieceAt = (from: number): { piece: Piece; own: tf.Tensor[] } => {
    const own: tf.Tensor[] = [];
    const part = (tensor: tf.Tensor | undefined): tf.Tensor | undefined => {
      if (!tensor || microBatch === batchSize) return tensor;
      const sliced = tf.tidy(() =>
        tf.slice(
          tensor,
          [from, ...tensor.shape.slice(1).map(() => 0)],
          [microBatch, ...tensor.shape.slice(1)],
        ),
      );
      own.push(sliced);
      return sliced;
    };
    const normal = (shape: readonly number[], ...path: string[]): tf.Tensor => {
      const size = shape.slice(1).reduce((product, n) => product * n, 1);
      const values = drawn(path, size, (stream) => stream.normal(batchSize * size));
      return tf.tensor(values.subarray(from * size, (from + microBatch) * size), [...shape]);
    };
    const z = normal([microBatch, ...latentShape], "latent");
    own.push(z);
    const piece = {
      share: microBatch / batchSize,
      z,
      condition: part(condition),
      real: part(batch?.x),
      sigmas: (law: NoiseDistribution, ...path: string[]) =>
        drawn(path, 0, (stream) => law.draw(stream, batchSize)).subarray(from, from + microBatch),
      normal,
    };
    return { piece, own };
  };

  return {
    *pieces() {
      for (let from = 0; from < batchSize; from += microBatch) {
        const { piece, own } = pieceAt(from);
        try {
          yield piece;
        } finally {
          tf.dispose(own);
        }
      }
    },
    dispose: () => tf.dispose(whole),
  };
}
