/** Llama 3's constants; every published model shares them, and only the factor varies. */
const llama3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

/** What Llama 3's rotary scaling says in a `config.json`. */
export interface Llama3Scaling {
  rope_type: "llama3";
  factor: number;
  low_freq_factor: number;
  high_freq_factor: number;
  original_max_position_embeddings: number;
}

/**
 * By how much each rotary frequency is divided under Llama 3's scaling: the values of llama.cpp's `rope_freqs.weight`.
 *
 * https://arxiv.org/abs/2407.21783
 */
export function frequencyFactors(scaling: Llama3Scaling, headSize: number, theta: number): Float32Array {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const original = scaling.original_max_position_embeddings;
  return Float32Array.from({ length: headSize / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headSize);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/**
 * The scaling behind a `rope_freqs.weight`: the largest divisor is the factor.
 *
 * @throws Error where the divisors are no scaling of Llama 3's kind.
 */
export function inverseFrequencyFactors(factors: Float32Array): Llama3Scaling | undefined {
  const factor = Math.max(...factors);
  if (factors.every((value) => value === 1)) return undefined;
  if (!factors.every((value, i) => value >= 1 && (i === 0 || value >= factors[i - 1]! - 1e-4)))
    throw new Error("rope_freqs.weight holds no rotary scaling of Llama 3's kind");
  return { rope_type: "llama3", factor: Number(factor.toPrecision(6)), ...llama3 };
}
