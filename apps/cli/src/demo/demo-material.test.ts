import { Tokenizer } from "@huggingface/tokenizers";
import { expect, it } from "vitest";
import { sentiment } from "../rewards/sentiment.ts";
import { closedCorpus, wordNetSentences } from "./corpus.ts";
import { wordTokenizerConfig, wordTokenizerJson } from "./word-tokenizer.ts";

it("takes thousands of sentences from WordNet that the vocabulary writes completely", async () => {
  const sentences = await wordNetSentences();
  expect(sentences.length).toBeGreaterThan(40_000);
  const { texts, vocabulary } = closedCorpus(sentences, { words: 4096, shortest: 4, longest: 16 });
  const known = new Set(vocabulary);
  expect(vocabulary).toHaveLength(4096);
  expect(texts.length).toBeGreaterThan(8000);
  expect(texts.every((words) => words.length <= 16 && words.every((word) => known.has(word)))).toBe(true);
});

it("makes a tokenizer.json that writes and reads whole words", () => {
  const tokenizer = new Tokenizer(wordTokenizerJson(["the", "cat", "sat", ","]), wordTokenizerConfig);
  const { ids } = tokenizer.encode("The cat , sat");
  expect(ids).toEqual([1, 3, 4, 6, 5]);
  expect(tokenizer.decode(ids, { skip_special_tokens: true })).toBe("the cat , sat");
  expect(tokenizer.encode("dog", { add_special_tokens: false }).ids).toEqual([0]);
});

it("sums the lexicon's valences", () => {
  expect(sentiment("A good, superb film")).toBe(3 + 5);
  expect(sentiment("constructor toString bad")).toBe(-3);
});
