import type { CausalLmConfig } from "./config.ts";

export interface TrainingMemoryOptions {
  /** Tokens of a micro-batch, padding included. */
  tokens: number;
  /** Of those, how many are scored at once. */
  scored?: number;
  gradientCheckpointing?: boolean;
  /** Whether weights are trained themselves, so that the inputs of every linear layer are kept, or adapters beside some of them. */
  trains: "weights" | "adapters";
}

/** Numbers that one layer keeps of a token for its gradient. */
function keptOfLayer(config: CausalLmConfig, trains: TrainingMemoryOptions["trains"]): number {
  const { hiddenSize: h, intermediateSize: i, heads, kvHeads, headSize } = config;
  const [q, kv] = [heads * headSize, kvHeads * headSize];
  const inputs = trains === "weights" ? 1 : 0;
  // Two norms' inputs and outputs, attention's queries, keys, values and output, and what the unit in between needs.
  const norms = 3 * h + h * inputs;
  const attention = 2 * q + 2 * kv + heads;
  const unit = config.modelType === "gpt2" ? i * (1 + inputs) : i * (2 + inputs);
  return norms + attention + unit;
}

/**
 * Bytes that activations take at the height of a training step, beside parameters, gradients and moments: what the layers keep, one layer
 * computed anew where they keep nothing, and a chunk of logits.
 */
export function activationBytes(config: CausalLmConfig, options: TrainingMemoryOptions): number {
  const { tokens, scored = tokens, gradientCheckpointing = false, trains } = options;
  const kept = keptOfLayer(config, trains);
  const layers = gradientCheckpointing ? config.layers * config.hiddenSize + kept : config.layers * kept;
  // While a layer's gradient is computed its widest tensors exist twice.
  const passing = 2 * config.intermediateSize + 4 * config.hiddenSize;
  const logits = Math.min(scored * config.vocabularySize, 16 * 1024 * 1024);
  return 4 * (tokens * (layers + passing + 6 * config.hiddenSize) + 2 * logits);
}
