import "@tensorflow/tfjs";
import { createCausalLm, generate } from "@fdiv/models";
import { startBackend } from "@fdiv/tensor-core/node";
import { option, tell, text, timeEach } from "./setting.ts";

/** The architectures that texts are sampled from, as f-DPG and PPO do; `peers/hf_sample.py` has the same. */
const architectures = {
  stories: {
    vocabularySize: 512,
    hiddenSize: 64,
    intermediateSize: 172,
    layers: 5,
    heads: 8,
    kvHeads: 4,
    maxPositions: 512,
  },
  llama: {
    vocabularySize: 4096,
    hiddenSize: 256,
    intermediateSize: 1024,
    layers: 4,
    heads: 4,
    maxPositions: 256,
  },
};

const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const name = process.argv.includes("stories") ? "stories" : "llama";
const model = createCausalLm(
  { modelType: "llama", ...architectures[name], tiedHead: true, bosId: 1, eosIds: [] },
  { seed: 0, trainable: false },
);
const prompts = Array.from({ length: 64 }, () => [1]);
const seconds = await timeEach(
  async () => {
    const { ids } = await generate(model, { prompts, maxTokens: 64, temperature: 1, seed: 1 });
    if (ids.some((row) => row.length !== 64)) throw new Error("a row ended early");
  },
  1,
  5,
);
tell(seconds, { threads });
