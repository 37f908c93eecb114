import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLlama2cTokenizer, parseLlama2cTokenizer } from "../llama2c-tokenizer.ts";
import { stories } from "../testing/data-folder.testing.ts";
import { byteLevelBpeFiles } from "./byte-level-bpe.ts";
import { huggingFaceTokenizer } from "./hugging-face-tokenizer.ts";
import { preTokenizerName, preTokenizerNamed } from "./pre-tokenizer.ts";
import { pieceType, sentencePieceFiles } from "./sentence-piece.ts";
import { sentencePiecesOf } from "./sentence-piece-of.ts";
import { streamingDecoder } from "./streaming-decoder.ts";

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"));

const bytePieces = Array.from(
  { length: 256 },
  (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`,
);
const words = ["\u2581t", "he", "\u2581the", "\u2581", "t", "h", "e"];
const small = {
  pieces: ["<unk>", "<s>", "</s>", ...bytePieces, ...words],
  types: [
    pieceType.unknown,
    pieceType.control,
    pieceType.control,
    ...bytePieces.map(() => pieceType.byte),
    ...words.map(() => pieceType.normal),
  ],
  scores: [0, 0, 0, ...bytePieces.map(() => 0), -1, -2, -3, -4, -5, -6, -7],
  unkId: 0,
  bosId: 1,
  eosId: 2,
  addBos: true,
  addEos: false,
  spacePrefix: true,
};
const sentencePiece = huggingFaceTokenizer(sentencePieceFiles(small));
const id = (piece: string) => small.pieces.indexOf(piece);

describe("SentencePiece", () => {
  it("merges the best-scored pair first and falls back to bytes", () => {
    expect(sentencePiece.encode("the he")).toEqual([id("\u2581the"), id("\u2581"), id("he")]);
    expect(sentencePiece.encode("é")).toEqual([id("\u2581"), id("<0xC3>"), id("<0xA9>")]);
    expect(sentencePiece.vocabularySize).toBe(small.pieces.length);
  });

  it("parses special tokens and adds BOS only when asked", () => {
    expect(sentencePiece.encode("<s>")).not.toContain(1);
    expect(sentencePiece.encode("<s>the", { parseSpecial: true })).toEqual([1, id("\u2581the")]);
    expect(sentencePiece.encode("the", { addSpecial: true })).toEqual([1, id("\u2581the")]);
    expect(sentencePiece.encode("", { addSpecial: true })).toEqual([1]);
    expect(sentencePiece.encode("")).toEqual([]);
    expect(sentencePiece.decode([1, id("\u2581the"), 2], { skipSpecial: true })).toBe("the");
    expect(sentencePiece.decode([1, id("\u2581the")])).toContain("<s>");
  });

  it("gives back any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(sentencePiece.decode(sentencePiece.encode(text))).toBe(text.replaceAll("\u2581", " "));
      }),
      // TextDecoder drops a byte order mark at the start of a run of bytes.
      { examples: [["\0"], ["   "], ["<s>"]] },
    );
  });

  it("goes from tokenizer.json back to the same pieces and ids", () => {
    const files = sentencePieceFiles(small);
    const back = sentencePiecesOf(files);
    expect(back.pieces).toEqual(small.pieces);
    expect(back.types).toEqual(small.types);
    expect(back).toMatchObject({
      bosId: 1,
      eosId: 2,
      unkId: 0,
      addBos: true,
      addEos: false,
      spacePrefix: true,
    });
    expect(huggingFaceTokenizer(sentencePieceFiles(back)).fingerprint).toBe(sentencePiece.fingerprint);
  });

  it("tells tokenizers apart by fingerprint", () => {
    const other = huggingFaceTokenizer(sentencePieceFiles({ ...small, addBos: false }));
    expect(other.fingerprint).not.toBe(sentencePiece.fingerprint);
    expect(sentencePiece.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe.skipIf(!stories.present)("the 512-piece vocabulary of the data folder", () => {
  const pieces = stories.present ? parseLlama2cTokenizer(readFileSync(stories.tokenizer), 512) : small;
  const tokenizer = huggingFaceTokenizer(sentencePieceFiles(pieces));
  it.each(golden("tok512-ids.json") as { text: string; ids: number[] }[])(
    "encodes $text as SentencePiece does",
    ({ text, ids }) => {
      expect(tokenizer.encode(text)).toEqual(ids);
    },
  );
  it("is written byte for byte as it was read", () => {
    expect(Buffer.from(encodeLlama2cTokenizer(pieces)).equals(readFileSync(stories.tokenizer))).toBe(true);
  });
});

describe("llama2.c's tokenizer.bin", () => {
  it("round-trips", () => {
    const back = parseLlama2cTokenizer(encodeLlama2cTokenizer(small), small.pieces.length);
    expect(back.pieces).toEqual(small.pieces);
    expect(back.types).toEqual(small.types);
    expect(Array.from(back.scores)).toEqual(small.scores);
  });
  it("refuses files of other sizes", () => {
    const bytes = encodeLlama2cTokenizer(small);
    expect(() => parseLlama2cTokenizer(bytes, 100)).toThrow(/more than the model's 100/);
    expect(() => parseLlama2cTokenizer(bytes.subarray(0, 2200), 266)).toThrow(/ends before piece|claims/);
    expect(() => parseLlama2cTokenizer(bytes, 1e6)).toThrow(/too short/);
  });
});

describe("byte-level BPE", () => {
  const alphabet = [..."abcdefghijklmnopqrstuvwxyz0123456789'!\u0120\u010a\u00c3\u00a9"];
  const files = (preTokenizer: string) =>
    byteLevelBpeFiles({
      pieces: ["<|end|>", ...alphabet, "ab", "\u0120ab", "12", "123"],
      types: [pieceType.control, ...alphabet.map(() => pieceType.normal), 1, 1, 1, 1],
      merges: ["a b", "\u0120 ab", "1 2", "12 3"],
      preTokenizer,
      bosId: 0,
      eosId: 0,
      addBos: false,
      addEos: false,
      chatTemplate: "{{ messages[0].content }}{{ eos_token }}",
    });
  const pieces = (name: string, text: string) => {
    const tokenizer = huggingFaceTokenizer(files(name));
    return tokenizer.encode(text).map((token) => tokenizer.decode([token]));
  };
  it.each([
    ["gpt-2", ["ab", " ab", " ", "123", "4"]],
    ["smollm", ["ab", " ab", " ", "1", "2", "3", "4"]],
    ["llama-bpe", ["ab", " ab", " ", "123", "4"]],
    ["qwen2", ["ab", " ab", " ", "1", "2", "3", "4"]],
  ])("splits as %s does", (name, want) => {
    expect(pieces(name, "ab ab 1234")).toEqual(want);
    expect(preTokenizerName(preTokenizerNamed(name).preTokenizer)).toBe(name);
  });
  it("splits numbers of other scripts as Rust's tokenizers do", () => {
    const tokenizer = huggingFaceTokenizer({
      tokenizer: {
        ...files("smollm").tokenizer,
        decoder: null,
        model: {
          type: "BPE",
          vocab: { "\u00c2": 0, "\u00bd": 1, "\u00c2\u00bd": 2, "\u00c2\u00bd\u00c2\u00bd": 3 },
          merges: [
            ["\u00c2", "\u00bd"],
            ["\u00c2\u00bd", "\u00c2\u00bd"],
          ],
        },
        added_tokens: [],
      },
    });
    expect(tokenizer.encode("½½")).toEqual([2, 2]);
  });
  it("names the rules it knows where one is unknown", () => {
    expect(() => preTokenizerNamed("nobody")).toThrow(/"nobody".*gpt-2/s);
    expect(preTokenizerName({ type: "Whitespace" })).toBeUndefined();
  });
  it("holds a character that is split across tokens", () => {
    const tokenizer = huggingFaceTokenizer(files("gpt-2"));
    const ids = tokenizer.encode("é ab");
    const decoder = tokenizer.decoder();
    expect(ids.map((token) => decoder.push(token))).toEqual(["", "é", " ab"]);
    expect(decoder.flush()).toBe("");
  });
  it("applies the chat template with the special tokens' names", () => {
    const tokenizer = huggingFaceTokenizer(files("gpt-2"));
    expect(tokenizer.applyChatTemplate!([{ role: "user", content: "hi" }])).toBe("hi<|end|>");
    expect(() => sentencePiece.applyChatTemplate!([])).toThrow(/has no chat template/);
  });
});

it("streams what decoding at once gives, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: small.pieces.length - 1 }), { maxLength: 40 }), (ids) => {
      const decoder = sentencePiece.decoder({ skipSpecial: true });
      const streamed = ids.map((token) => decoder.push(token)).join("") + decoder.flush();
      expect(streamed).toBe(sentencePiece.decode(ids, { skipSpecial: true }));
    }),
  );
});

it("gives out a replacement character that is no beginning of anything", () => {
  const decoder = streamingDecoder((ids) => new TextDecoder().decode(Uint8Array.from(ids)));
  expect([0xff, 0x41].map((byte) => decoder.push(byte))).toEqual(["", "\uFFFDA"]);
  decoder.push(0xe2);
  expect(decoder.flush()).toBe("\uFFFD");
});
