import { describe, expect, it } from "vitest";
import { causalLmConfig } from "./config.ts";
import { bytesSource } from "./gguf/byte-source.ts";
import { encodeLlama2c, openLlama2c } from "./llama2c.ts";
import { countingCheckpoint, joined, valuesOf } from "./testing/counting-checkpoint.testing.ts";

const options = {
  modelType: "llama",
  vocabularySize: 9,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  maxPositions: 16,
  normEpsilon: 1e-5,
  bosId: 1,
  eosIds: [2],
};

describe("llama2.c's format", () => {
  it.each([true, false])("round-trips every value, tied head: %s", async (tiedHead) => {
    const checkpoint = countingCheckpoint(causalLmConfig({ ...options, tiedHead }));
    const bytes = await joined(encodeLlama2c(checkpoint));
    expect(new DataView(bytes.buffer).getInt32(20, true)).toBe(tiedHead ? 9 : -9);
    const back = await openLlama2c(bytesSource(bytes, "model.bin"));
    expect(back.config).toEqual(checkpoint.config);
    expect(await valuesOf(back)).toEqual(await valuesOf(checkpoint));
  });

  it("says what it has no place for", async () => {
    const config = causalLmConfig({ ...options, ropeTheta: 1e5, attentionBias: true });
    await expect(joined(encodeLlama2c(countingCheckpoint(config)))).rejects.toThrow(
      /rotary base of 100000.*nor biases/,
    );
  });

  it("refuses other files", async () => {
    const bytes = await joined(encodeLlama2c(countingCheckpoint(causalLmConfig(options))));
    const open = (data: Uint8Array) => openLlama2c(bytesSource(data, "model.bin"));
    await expect(open(bytes.subarray(0, 1000))).rejects.toThrow(/model\.bin: .*truncated/);
    await expect(open(bytes.subarray(0, 8))).rejects.toThrow(/too short/);
    await expect(open(new Uint8Array(100))).rejects.toThrow(
      /not a llama2\.c model: model config: hiddenSize/,
    );
    await expect(open(new TextEncoder().encode("24ka".padEnd(100)))).rejects.toThrow(/only version 0/);
  });
});
