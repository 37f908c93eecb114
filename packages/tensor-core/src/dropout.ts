import * as tf from "@tensorflow/tfjs-core";
import { lazyGradient } from "./kernel.ts";
import type { Random } from "./random.ts";
import { checkShape } from "./shape-check.ts";

const levels = 65536;

/**
 * What dropout multiplies numbers by (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html, scaled in training as is usual):
 * 0 for the share `rate` of them, which is rounded to a multiple of 2⁻¹⁶, else 1 / (1 − rate).
 *
 * The i-th number of a run depends on the run's stream and i alone, so that a longer run begins like a shorter one.
 *
 * @param streams one a run
 * @param size numbers a run
 * @returns [streams · size]
 * @throws RangeError when the rate is not in [0, 1)
 */
export function dropoutMask(streams: readonly Random[], size: number, rate: number): Float32Array {
  const dropped = Math.round(rate * levels);
  if (!(rate >= 0 && dropped < levels))
    throw new RangeError(`dropout: the rate must be in [0, 1), got ${rate}`);
  const kept = levels / (levels - dropped);
  const mask = new Float32Array(streams.length * size);
  for (const [run, stream] of streams.entries()) {
    // Each word gives two numbers, the lower half first.
    const words = stream.uint32((size + 1) >>> 1);
    const from = run * size;
    for (let i = 0; i < size; i++) {
      const word = words[i >>> 1]!;
      if ((i & 1 ? word >>> 16 : word & 0xffff) >= dropped) mask[from + i] = kept;
    }
  }
  return mask;
}

/** x · mask, of which only the mask is kept for the gradient. @throws when the shapes differ */
export function dropout(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
  checkShape("dropout", "mask", mask, x.shape, "x's shape");
  return lazyGradient(
    { x },
    (save) => {
      save([mask]);
      return tf.mul(x, mask);
    },
    (dy, [saved]) => ({ x: () => tf.mul(dy, saved!) }),
  );
}
