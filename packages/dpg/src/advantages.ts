/** Where each sequence of a token batch begins and ends: tokens of one sequence lie together, in order. */
export function sequenceRanges(what: string, sequences: ArrayLike<number>): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  const seen = new Set<number>();
  for (let t = 0; t < sequences.length; t++) {
    if (t > 0 && sequences[t] === sequences[t - 1]) {
      ranges.at(-1)![1] = t + 1;
      continue;
    }
    if (seen.has(sequences[t]!))
      throw new RangeError(`${what}: the tokens of sequence ${sequences[t]} do not lie together.`);
    seen.add(sequences[t]!);
    ranges.push([t, t + 1]);
  }
  return ranges;
}

/** Advantages and what values are fitted to, [tokens] each. */
export interface Advantages {
  advantages: Float64Array;
  /** Aₜ + Vₜ. */
  returns: Float64Array;
}

/**
 * Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, equation 16): Aₜ = δₜ + γλ·Aₜ₊₁, δₜ = rₜ + γ·Vₜ₊₁ − Vₜ, V = 0 after
 * a sequence's last token, or its bootstrap value where it was cut off.
 *
 * @param tokens.rewards, tokens.values, tokens.sequences [tokens]; tokens of a sequence together, in order
 * @param tokens.bootstrap the value after the last token, one a sequence in the order in which they come
 * @param options.gamma γ, default 1
 * @param options.lambda λ, default .95
 * @throws RangeError on lengths, γ, λ, or scattered sequences
 */
export function generalisedAdvantages(
  tokens: {
    rewards: ArrayLike<number>;
    values: ArrayLike<number>;
    sequences: ArrayLike<number>;
    bootstrap?: ArrayLike<number>;
  },
  options: { gamma?: number; lambda?: number } = {},
): Advantages {
  const { rewards, values, sequences, bootstrap } = tokens;
  const { gamma = 1, lambda = 0.95 } = options;
  if (values.length !== rewards.length || sequences.length !== rewards.length)
    throw new RangeError(
      `generalisedAdvantages: ${rewards.length} rewards, ${values.length} values and ${sequences.length} sequence ids.`,
    );
  for (const [name, x] of Object.entries({ gamma, lambda }))
    if (!(x >= 0 && x <= 1))
      throw new RangeError(`generalisedAdvantages: ${name} is ${x}, expected a number in [0, 1].`);
  const ranges = sequenceRanges("generalisedAdvantages", sequences);
  if (bootstrap && bootstrap.length !== ranges.length)
    throw new RangeError(
      `generalisedAdvantages: ${bootstrap.length} bootstrap values for ${ranges.length} sequences.`,
    );
  const advantages = new Float64Array(rewards.length);
  for (const [s, [from, to]] of ranges.entries()) {
    let next = 0;
    let nextValue = bootstrap?.[s] ?? 0;
    for (let t = to - 1; t >= from; t--) {
      const delta = rewards[t]! + gamma * nextValue - values[t]!;
      next = delta + gamma * lambda * next;
      advantages[t] = next;
      nextValue = values[t]!;
    }
  }
  return { advantages, returns: advantages.map((a, t) => a + values[t]!) };
}

/** 1/√(variance + 10⁻⁸), what brings a batch to variance 1; 0 for one without spread. */
export function whiteningScale(values: ArrayLike<number>): number {
  const count = values.length;
  let mean = 0;
  for (let i = 0; i < count; i++) mean += values[i]! / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (values[i]! - mean) ** 2;
  const variance = squares / Math.max(1, count - 1);
  return variance > 0 ? 1 / Math.sqrt(variance + 1e-8) : 0;
}

/**
 * Advantages brought to variance 1 and, unless the mean is kept, to mean 0 over the batch; those of a batch without spread become 0.
 */
export function whiten(advantages: ArrayLike<number>, options: { keepMean?: boolean } = {}): Float64Array {
  const values = Float64Array.from(Array.from(advantages));
  const mean = values.reduce((sum, x) => sum + x, 0) / Math.max(1, values.length);
  const scale = whiteningScale(values);
  return values.map((x) => (x - mean) * scale + (options.keepMean ? mean : 0));
}
