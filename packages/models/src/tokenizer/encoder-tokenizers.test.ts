import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTokenizer } from "../node/tokenizer-folder.ts";
import { huggingFaceTokenizer } from "./hugging-face-tokenizer.ts";
import { keptLengths } from "./model-input.ts";
import { readSentencePieceModel } from "./sentence-piece-model.ts";
import { unigramFiles } from "./unigram.ts";

interface Golden {
  texts: string[];
  pairs: [string, string][];
  wordPiece: { vocab: string; ids: number[][]; pairs: { ids: number[]; types: number[] }[] };
  bpe: { vocab: Record<string, number>; merges: string; ids: number[][]; pairs: { ids: number[] }[] };
  unigram: { model: string; ids: number[][]; decoded: string[] };
}

const golden = JSON.parse(
  readFileSync(new URL("./golden/encoder-tokenizers.json", import.meta.url), "utf8"),
) as Golden;
const { texts, pairs } = golden;
const model = Buffer.from(golden.unigram.model, "base64");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fdiv-tokenizers-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function open(files: Record<string, string | Uint8Array | object>) {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(
      join(folder, name),
      typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content),
    );
  return (await openTokenizer(folder))!;
}

describe("the vocabulary files of old", () => {
  it("vocab.txt is BERT's WordPiece", async () => {
    const tokenizer = await open({
      "config.json": { model_type: "bert" },
      "vocab.txt": golden.wordPiece.vocab,
    });
    expect(texts.map((text) => tokenizer.encodeInput!(text).ids)).toEqual(golden.wordPiece.ids);
    expect(pairs.map(([a, b]) => tokenizer.encodeInput!(a, b))).toEqual(golden.wordPiece.pairs);
    expect(tokenizer.encode(texts[0]!, { addSpecial: true })).toEqual(golden.wordPiece.ids[0]);
    expect(tokenizer.decode(golden.wordPiece.ids[0]!, { skipSpecial: true })).toContain("teacher");
  });

  it("vocab.json and merges.txt are RoBERTa's byte-level BPE", async () => {
    const tokenizer = await open({
      "config.json": { model_type: "roberta" },
      "vocab.json": golden.bpe.vocab,
      "merges.txt": golden.bpe.merges,
    });
    expect(texts.map((text) => tokenizer.encodeInput!(text).ids)).toEqual(golden.bpe.ids);
    expect(pairs.map(([a, b]) => tokenizer.encodeInput!(a, b).ids)).toEqual(
      golden.bpe.pairs.map(({ ids }) => ids),
    );
    for (const [i, text] of texts.entries())
      expect(tokenizer.decode(golden.bpe.ids[i]!, { skipSpecial: true })).toBe(text);
  });

  it("spiece.model is SentencePiece's unigram model, with T5's sentinels behind it", async () => {
    const tokenizer = await open({ "config.json": { model_type: "t5" }, "spiece.model": model });
    expect(texts.map((text) => tokenizer.encodeInput!(text).ids)).toEqual(golden.unigram.ids);
    expect(golden.unigram.ids.map((ids) => tokenizer.decode(ids, { skipSpecial: true }).trim())).toEqual(
      // SentencePiece shows what it does not know as ⁇, a tokenizer.json by its name.
      golden.unigram.decoded.map((text) => text.replaceAll(" ⁇ ", "").trim()),
    );
    const size = readSentencePieceModel(model).pieces.length;
    expect(tokenizer.vocabularySize).toBe(size + 100);
    expect(tokenizer.encode("<extra_id_0>", { parseSpecial: true })).toEqual([size + 99]);
    expect(tokenizer.encode("</s>")).not.toContain(1);
    expect([tokenizer.eosId, tokenizer.padId, tokenizer.unkId]).toEqual([1, 0, 2]);
  });

  it("says what is wrong with a vocabulary", async () => {
    await expect(open({ "config.json": { model_type: "bert" }, "vocab.txt": "a\nb\n" })).rejects.toThrow(
      "the vocabulary of 2 pieces lacks [CLS]",
    );
    const cut = model.subarray(0, 100);
    await expect(open({ "config.json": { model_type: "t5" }, "spiece.model": cut })).rejects.toThrow(
      /spiece\.model: a field of \d+ bytes ends beyond the file/,
    );
    const read = readSentencePieceModel(model);
    expect(() => unigramFiles({ ...read, modelType: 2 })).toThrow("it is no unigram model");
    const other = { ...read, normalizer: { ...read.normalizer, name: "nmt_nfkc_cf" } };
    expect(() => unigramFiles(other)).toThrow('its normalisation "nmt_nfkc_cf" is not supported');
  });

  it("any bytes are a model or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(readSentencePieceModel(bytes).pieces.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});

describe("an input's template", () => {
  it("keeps the shorter text and cuts the longer, or halves both", () => {
    expect(keptLengths(3, 4, 7)).toEqual([3, 4]);
    expect(keptLengths(10, 2, 7)).toEqual([5, 2]);
    expect(keptLengths(2, 10, 7)).toEqual([2, 5]);
    expect(keptLengths(9, 8, 7)).toEqual([4, 3]);
    expect(keptLengths(8, 8, 7)).toEqual([3, 4]);
    expect(keptLengths(9, 0, 7)).toEqual([7, 0]);
  });

  it("takes a special token's name in a text for text", async () => {
    const tokenizer = await open({
      "config.json": { model_type: "bert" },
      "vocab.txt": golden.wordPiece.vocab,
    });
    const [cls, sep] = [tokenizer.encodeInput!("").ids[0]!, tokenizer.encodeInput!("").ids[1]!];
    const { ids } = tokenizer.encodeInput!("a [SEP] b", "[CLS]");
    expect(ids.filter((id) => id === sep).length).toBe(2);
    expect(ids.filter((id) => id === cls).length).toBe(1);
  });

  it("is nothing where the tokenizer has no post-processor", () => {
    const files = unigramFiles(readSentencePieceModel(model));
    const plain = huggingFaceTokenizer({ ...files, tokenizer: { ...files.tokenizer, post_processor: null } });
    const { ids, types } = plain.encodeInput!("x", "x");
    expect(ids).toEqual([...plain.encode("x"), ...plain.encode("x")]);
    expect(types).toEqual(ids.map(() => 0));
  });
});
