import "@tensorflow/tfjs";
import { createCausalLm, generate } from "@fdiv/models";
import { random } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import { gpt2, option, setting, tell, text, timeEach } from "./setting.ts";

const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const model = createCausalLm(gpt2, { seed: 0 });
const draw = random(1);
const prompts = Array.from({ length: 16 }, () =>
  Array.from({ length: setting.prompt }, () => 3 + draw.integer(setting.vocabulary - 3)),
);
const temperature = process.argv.includes("greedy") ? 0 : 1;
const seconds = await timeEach(
  async () => {
    const { ids } = await generate(model, { prompts, maxTokens: 64, temperature, seed: 1 });
    if (ids.some((row) => row.length !== 64)) throw new Error("a row ended early");
  },
  1,
  5,
);
tell(seconds, { threads });
