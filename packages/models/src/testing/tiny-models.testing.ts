import type { CausalLmOptions } from "../config.ts";

const sizes = { vocabularySize: 13, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4 };

/** Small architectures that differ in everything a family may vary; weights start large, so that laws are far from uniform. */
export const tinyOptions: Record<string, CausalLmOptions> = {
  llama: {
    modelType: "llama",
    ...sizes,
    kvHeads: 2,
    maxPositions: 64,
    initializerRange: 0.5,
    ropeScaling: {
      type: "llama3",
      factor: 4,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 16,
    },
  },
  mistral: {
    modelType: "mistral",
    ...sizes,
    kvHeads: 1,
    maxPositions: 64,
    initializerRange: 0.4,
    slidingWindows: [3, 3],
  },
  qwen2: { modelType: "qwen2", ...sizes, tiedHead: true, maxPositions: 64, initializerRange: 0.4 },
  gpt2: { modelType: "gpt2", ...sizes, maxPositions: 64, initializerRange: 0.4 },
};
