import * as tf from "@tensorflow/tfjs-core";

export interface RatioNormaliserOptions {
  /** Default 10. */
  bins?: number;
  /** Bins of equal width in σ, the official ones, or in log σ; with Karras' draws two thirds fall in the first linear bin. Default linear.
   * A rising function of σ gives bins of equal width in what it gives, such as the steps of a schedule. */
  scale?: "linear" | "log" | ((sigma: number) => number);
  /** Noise levels covered, default [.002, 80]; those beyond belong to the bin at the end. */
  range?: readonly [min: number, max: number];
  /** How much of a bin's mean stays at an update; default .9, which suits small batches; the official configurations have 0 and .5. */
  decay?: number;
}

/** A bin's running mean of ratios, and how many examples it has seen. */
export interface RatioNormaliserState {
  means: number[];
  counts: number[];
}

export interface RatioNormaliser {
  readonly bins: number;
  /** The bin of each noise level. */
  binOf(sigmas: ArrayLike<number>): Int32Array;
  /**
   * Takes a batch's ratios into their bins' running means, then divides each by its bin's.
   *
   * @param ratio [batch]
   * @param sigmas [batch], on the host
   */
  normalise(ratio: tf.Tensor1D, sigmas: ArrayLike<number>): tf.Tensor1D;
  state(): Promise<RatioNormaliserState>;
  load(state: RatioNormaliserState): void;
  dispose(): void;
}

function checkOptions({
  bins = 10,
  scale = "linear",
  range: [min, max] = [0.002, 80],
  decay = 0.9,
}: RatioNormaliserOptions): void {
  if (!Number.isSafeInteger(bins) || bins < 1 || bins > 10_000)
    throw new RangeError(`ratioNormaliser: ${bins} bins; expected an integer from 1 to 10000.`);
  if (scale !== "linear" && scale !== "log" && typeof scale !== "function")
    throw new RangeError(`ratioNormaliser: there is no scale "${scale}"; there are linear and log.`);
  if (!(min >= 0 && max > min && max < Number.POSITIVE_INFINITY) || (scale === "log" && min === 0))
    throw new RangeError(
      `ratioNormaliser: the range is [${min}, ${max}] on a ${typeof scale === "function" ? "scale of one's own" : `${scale} scale`}.`,
    );
  if (!(decay >= 0 && decay < 1))
    throw new RangeError(`ratioNormaliser: the decay is ${decay}, expected a number in [0, 1).`);
}

/**
 * Divides density ratios by the running mean of their noise bin, since E_q[p_t/q_t] = 1 at every level: what a discriminator is off by is
 * taken out to first order (f-distill, https://arxiv.org/abs/2502.15681, section 4). Means start at 1; m ← decay·m + (1 − decay)·(the batch's mean in the bin).
 *
 * @throws RangeError on its options
 */
export function ratioNormaliser(options: RatioNormaliserOptions = {}): RatioNormaliser {
  checkOptions(options);
  const { bins = 10, scale = "linear", range = [0.002, 80], decay = 0.9 } = options;
  const at = typeof scale === "function" ? scale : scale === "log" ? Math.log : (sigma: number) => sigma;
  const [low, high] = [at(range[0]), at(range[1])];
  if (!(high > low))
    throw new RangeError(`ratioNormaliser: the scale takes [${range}] to [${low}, ${high}]; it must rise.`);
  let means = tf.tidy(() => tf.keep(tf.ones([bins])));
  let counts = new Array<number>(bins).fill(0);

  const binOf = (sigmas: ArrayLike<number>) =>
    Int32Array.from(sigmas, (sigma) => {
      const bin = Math.floor(((at(sigma) - low) / (high - low)) * bins);
      return Math.min(bins - 1, Math.max(0, bin));
    });

  const replace = (next: tf.Tensor) => {
    means.dispose();
    means = next;
  };

  return {
    bins,
    binOf,
    normalise(ratio, sigmas) {
      if (sigmas.length !== ratio.size)
        throw new RangeError(`ratioNormaliser: ${ratio.size} ratios and ${sigmas.length} noise levels.`);
      const index = binOf(sigmas);
      const inBatch = new Array<number>(bins).fill(0);
      for (const bin of index) inBatch[bin] = inBatch[bin]! + 1;
      const membership = new Float32Array(index.length * bins);
      index.forEach((bin, i) => {
        membership[i * bins + bin] = 1;
      });
      return tf.tidy(() => {
        const member = tf.tensor2d(membership, [index.length, bins]);
        const kept = tf.tensor1d(inBatch.map((count) => (count > 0 ? decay : 1)));
        const taken = tf.tensor1d(inBatch.map((count) => (count > 0 ? (1 - decay) / count : 0)));
        const sums = tf.sum(tf.mul(member, tf.reshape(ratio, [-1, 1])), 0);
        const moved = tf.add(tf.mul(kept, means), tf.mul(taken, sums));
        // A ratio that is not finite must not stay in a mean that outlives its step.
        const next = tf.where(tf.isFinite(moved), moved, means);
        counts = counts.map((count, bin) => count + inBatch[bin]!);
        replace(tf.keep(next));
        return tf.div(ratio, tf.sum(tf.mul(member, next), 1)) as tf.Tensor1D;
      });
    },
    state: async () => ({ means: Array.from(await means.data()), counts: [...counts] }),
    load(state) {
      const whole = state.means.length === bins && state.counts.length === bins;
      if (!whole || !state.means.every((mean) => mean > 0 && mean < Number.POSITIVE_INFINITY))
        throw new RangeError(
          `ratioNormaliser: the state has ${state.means.length} means and ${state.counts.length} counts, expected ${bins} positive means and counts.`,
        );
      replace(tf.tidy(() => tf.keep(tf.tensor1d(state.means))));
      counts = [...state.counts];
    },
    dispose: () => means.dispose(),
  };
}
