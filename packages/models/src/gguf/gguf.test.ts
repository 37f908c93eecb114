import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CausalLmConfig, causalLmConfig } from "../config.ts";
import { openLlama2c } from "../llama2c.ts";
import { countingCheckpoint, joined, valuesOf } from "../testing/counting-checkpoint.testing.ts";
import { stories } from "../testing/data-folder.testing.ts";
import { byteLevelBpeFiles } from "../tokenizer/byte-level-bpe.ts";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import { bytesSource } from "./byte-source.ts";
import { openGguf } from "./checkpoint.ts";
import { encodeGgufHeader } from "./encode.ts";
import { readGgufHeader } from "./header.ts";
import { frequencyFactors, inverseFrequencyFactors } from "./rope-factors.ts";
import { halvesToInterleaved, interleavedToHalves } from "./rotary-rows.ts";
import { encodeGguf } from "./write.ts";

const sizes = {
  vocabularySize: 9,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 4,
  maxPositions: 16,
};
const tokenizer = huggingFaceTokenizer(
  byteLevelBpeFiles({
    pieces: ["<|end|>", "a", "b", "ab", "\u0120", "c", "d", "e", "f"],
    types: [3, 1, 1, 1, 1, 1, 1, 1, 1],
    merges: ["a b"],
    preTokenizer: "qwen2",
    bosId: 0,
    eosId: 0,
    addBos: true,
    addEos: false,
    chatTemplate: "{{ messages | length }}",
  }),
);

describe("a model written as GGUF and read again", () => {
  it.each<[string, Partial<CausalLmConfig>]>([
    ["llama", { kvHeads: 2, bosId: 0, eosIds: [0, 3], normEpsilon: 1e-5, tiedHead: true }],
    ["llama", { kvHeads: 2, attentionBias: true, attentionOutputBias: true, ropeTheta: 1e6, mlpBias: true }],
    ["qwen2", { kvHeads: 1 }],
    ["gpt2", {}],
    ["gpt2", { tiedHead: false }],
  ])("keeps the config and every value: %s %j", async (modelType, more) => {
    const checkpoint = countingCheckpoint(causalLmConfig({ ...sizes, modelType, ...more }));
    const back = await openGguf(bytesSource(await joined(encodeGguf(checkpoint)), "written"));
    expect(await valuesOf(back)).toEqual(await valuesOf(checkpoint));
    expect({ ...back.config, huggingFace: {} }).toEqual(checkpoint.config);
    expect(back.tokenizer).toBeUndefined();
  });

  it("keeps Llama 3's rotary scaling", async () => {
    const ropeScaling = {
      type: "llama3" as const,
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 8192,
    };
    const config = causalLmConfig({
      ...sizes,
      headSize: 64,
      modelType: "llama",
      ropeScaling,
      ropeTheta: 500000,
    });
    const back = await openGguf(bytesSource(await joined(encodeGguf(countingCheckpoint(config))), "written"));
    expect(back.config.ropeScaling).toEqual(ropeScaling);
  });

  it("keeps vectors in full and matrices in half precision", async () => {
    const checkpoint = countingCheckpoint(causalLmConfig({ ...sizes, modelType: "llama" }));
    const source = bytesSource(await joined(encodeGguf(checkpoint, { dtype: "F16" })), "written");
    const { tensors } = await readGgufHeader(source);
    expect(tensors.get("blk.0.attn_norm.weight")!.type.name).toBe("F32");
    expect(tensors.get("blk.0.attn_q.weight")!.type.name).toBe("F16");
    expect(await valuesOf(await openGguf(source))).toEqual(await valuesOf(checkpoint));
  });

  it("keeps the tokenizer and its chat template", async () => {
    const checkpoint = countingCheckpoint(causalLmConfig({ ...sizes, modelType: "qwen2" }), tokenizer);
    const back = await openGguf(bytesSource(await joined(encodeGguf(checkpoint)), "written"));
    expect(back.tokenizer!.fingerprint).toBe(tokenizer.fingerprint);
    expect(back.tokenizer!.encode("ab ba", { addSpecial: true })).toEqual([0, 3, 4, 2, 1]);
  });

  it("refuses what GGUF would compute otherwise", async () => {
    const windowed = causalLmConfig({ ...sizes, modelType: "mistral", slidingWindows: [4, 4] });
    await expect(joined(encodeGguf(countingCheckpoint(windowed)))).rejects.toThrow(/sliding window \(4\)/);
  });
});

describe("hostile GGUF files", () => {
  const good = () =>
    joined(encodeGguf(countingCheckpoint(causalLmConfig({ ...sizes, modelType: "llama" })), {}));
  const open = async (change: (bytes: Uint8Array, view: DataView) => Uint8Array | undefined) => {
    const bytes = await good();
    return openGguf(bytesSource(change(bytes, new DataView(bytes.buffer)) ?? bytes, "bad.gguf"));
  };
  const find = (bytes: Uint8Array, text: string) => Buffer.from(bytes).indexOf(text);
  type Change = (bytes: Uint8Array, view: DataView) => Uint8Array | undefined;
  it.each<[string, RegExp, Change]>([
    ["other letters", /does not start with the letters GGUF/, (b) => void b.fill(65, 0, 4) as undefined],
    ["nothing", /does not start/, () => new Uint8Array(0)],
    ["version 9", /version 9 is not one of/, (_, v) => void v.setUint32(4, 9, true) as undefined],
    ["big-endian", /big-endian/, (_, v) => void v.setUint32(4, 3, false) as undefined],
    [
      "2^60 tensors",
      /number of tensors is \d+/,
      (_, v) => void v.setBigUint64(8, 1n << 60n, true) as undefined,
    ],
    [
      "2^40 pairs",
      /metadata pairs is 1099511627776/,
      (_, v) => void v.setBigUint64(16, 1n << 40n, true) as undefined,
    ],
    [
      "an endless key",
      /length of a metadata key is/,
      (_, v) => void v.setBigUint64(24, 1n << 50n, true) as undefined,
    ],
    ["a cut header", /truncated|are left|too few/, (b) => b.subarray(0, 100)],
    ["cut data", /ends at byte \d+.*truncated/, (b) => b.subarray(0, b.length - 40)],
    [
      "an unknown tensor type",
      /has the type IQ1_S, which can't be read/,
      (b, v) => void v.setUint32(find(b, "blk.0.attn_norm.weight") + 22 + 4 + 8, 19, true) as undefined,
    ],
    [
      "an offset beyond the file",
      /ends at byte/,
      (b, v) =>
        void v.setBigUint64(find(b, "blk.0.attn_norm.weight") + 22 + 4 + 8 + 4, 1n << 40n, true) as undefined,
    ],
    [
      "an offset between",
      /no multiple of 32/,
      (b, v) =>
        void v.setBigUint64(find(b, "blk.0.attn_norm.weight") + 22 + 4 + 8 + 4, 33n, true) as undefined,
    ],
    [
      "nine dimensions",
      /has 9 dimensions/,
      (b, v) => void v.setUint32(find(b, "blk.0.attn_norm.weight") + 22, 9, true) as undefined,
    ],
    [
      "a tensor twice",
      /is there twice/,
      (b) =>
        void b.set(Buffer.from("blk.0.attn_norm.weight"), find(b, "blk.1.attn_norm.weight")) as undefined,
    ],
    [
      "a tensor of another architecture",
      /has no tensor blk.0.attn_what.weight/,
      (b) =>
        void b.set(Buffer.from("blk.0.attn_what.weight"), find(b, "blk.0.attn_norm.weight")) as undefined,
    ],
    [
      "an unknown value type",
      /value type 77 is unknown/,
      (b, v) => void v.setUint32(find(b, "general.architecture") + 20, 77, true) as undefined,
    ],
    [
      "another architecture",
      /architecture "rwkv7" can't be read, only llama, qwen2, gpt2/,
      (b) => void b.set(Buffer.from("rwkv7"), find(b, "llama")) as undefined,
    ],
  ])("says what is wrong: %s", async (_, message, change) => {
    await expect(open(change)).rejects.toThrow(message);
    await expect(open(change)).rejects.toThrow(/^bad\.gguf: /);
  });
});

it("meets any damaged byte of a header with an error of its own, or none", async () => {
  const config = causalLmConfig({ ...sizes, modelType: "llama", tiedHead: true });
  const good = await joined(encodeGguf(countingCheckpoint(config, tokenizer)));
  const end = Buffer.from(good).lastIndexOf(".weight") + 32;
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: end }), fc.nat({ max: 255 }), async (at, byte) => {
      const bytes = good.slice();
      bytes[at] = byte;
      await openGguf(bytesSource(bytes, "bad.gguf")).catch((error: Error) => {
        expect(error.message).toMatch(/^bad\.gguf: /);
        expect(error).not.toBeInstanceOf(TypeError);
        expect(error.cause ?? error).not.toBeInstanceOf(TypeError);
      });
    }),
    { numRuns: 300 },
  );
});

it("says what to do with one part of a split model", async () => {
  const header = encodeGgufHeader(
    new Map([
      ["general.architecture", { type: "text", value: "llama" }],
      ["split.count", { type: "u32", value: 3 }],
    ]),
    [],
  );
  await expect(openGguf(bytesSource(header, "a-00001-of-00003.gguf"))).rejects.toThrow(
    /^a-00001.*one of 3 parts of a model; join them/,
  );
});

it("reorders rotary rows there and back", () => {
  const rows = Float32Array.from({ length: 8 * 3 }, (_, i) => i);
  // Two heads of four: pairs (0, 1), (2, 3) become the halves (0, 2), (1, 3).
  expect([0, 1, 2, 3].map((row) => interleavedToHalves(rows, 2, 8)[3 * row]! / 3)).toEqual([0, 2, 1, 3]);
  expect(halvesToInterleaved(interleavedToHalves(rows, 2, 8), 2, 8)).toEqual(rows);
});

it("knows Llama 3's rotary divisors", () => {
  const scaling = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const factors = frequencyFactors({ rope_type: "llama3", ...scaling }, 128, 500000);
  expect([factors[0], factors[63]]).toEqual([1, 8]);
  expect(inverseFrequencyFactors(factors)).toEqual({ rope_type: "llama3", ...scaling });
  expect(() => inverseFrequencyFactors(Float32Array.of(1, 0.5))).toThrow(/no rotary scaling/);
});

describe.skipIf(!stories.present)("stories260K of the data folder", () => {
  it("has the same values in its GGUF and llama2.c files", async () => {
    const gguf = await openGguf(bytesSource(readFileSync(stories.gguf), "gguf"));
    const bin = await openLlama2c(bytesSource(readFileSync(stories.bin), "bin"), {
      bytes: readFileSync(stories.tokenizer),
      name: "tok512.bin",
    });
    const [a, b] = [await valuesOf(gguf), await valuesOf(bin)];
    expect([...a.keys()]).toEqual([...b.keys()]);
    for (const [name, { shape, values }] of a) {
      expect(shape).toEqual(b.get(name)!.shape);
      expect(values).toEqual(b.get(name)!.values);
    }
    expect({ ...gguf.config, huggingFace: {} }).toMatchObject({ ...bin.config, padId: 0, huggingFace: {} });
    expect(gguf.tokenizer!.encode("Once upon a time, Lily")).toEqual(
      bin.tokenizer!.encode("Once upon a time, Lily"),
    );
  });
});
