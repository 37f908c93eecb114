import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { generateText, streamText } from "./generate-text.ts";
import { disposeModel } from "./parameterised.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** One token a letter, `a` being 1; 0 begins a text. */
const letters: Tokenizer = {
  vocabularySize: 13,
  bosId: 0,
  fingerprint: "letters",
  encode: (text, { addSpecial } = {}) => [
    ...(addSpecial ? [0] : []),
    ...Array.from(text, (letter) => letter.charCodeAt(0) - 96),
  ],
  decode: (ids) => Array.from(ids, (id) => (id ? String.fromCharCode(96 + id) : "")).join(""),
  decoder: () => ({ push: (id) => (id ? String.fromCharCode(96 + id) : ""), flush: () => "" }),
};

const model = () => createCausalLm({ ...tinyOptions.llama!, bosId: 0 }, { seed: 3, tokenizer: letters });

it("ends a text before the first stop string, streamed or not", async () => {
  const lm = model();
  const options = { maxTokens: 40, seed: 2 };
  const [free] = await generateText(lm, ["abc"], options);
  expect(free!.finished).toBe("length");
  expect(free!.text).toBe(letters.decode(free!.ids));
  const stop = free!.text.slice(7, 10);
  const at = free!.text.indexOf(stop);
  const [stopped] = await generateText(lm, ["abc"], { ...options, stop: [stop, "zz"] });
  expect(stopped).toMatchObject({ text: free!.text.slice(0, at), finished: "stop" });
  const { ids, logProbs } = stopped!;
  expect(ids).toEqual(free!.ids.slice(0, ids.length));
  expect(letters.decode(ids)).toBe(free!.text.slice(0, at + 3));
  expect(logProbs.length).toBe(ids.length);
  const pieces: string[] = [];
  for await (const piece of streamText(lm, "abc", { ...options, stop: [stop] })) pieces.push(piece);
  expect(pieces.join("")).toBe(stopped!.text);
  expect(pieces.length).toBeGreaterThan(1);
  disposeModel(lm);
});

it("leaves the end of sequence out of the text, and begins from BOS where a prompt is empty", async () => {
  const lm = model();
  const options = { maxTokens: 30, seed: 2, stop: [1, 2, 3, 4, 5] };
  const [text] = await generateText(lm, [""], { ...options, addSpecial: false });
  expect(text!.finished).toBe("stop");
  expect(text!.ids.at(-1)).toBeLessThan(6);
  expect(text!.text).toBe(letters.decode(text!.ids.slice(0, -1)));
  delete lm.tokenizer;
  await expect(generateText(lm, ["a"], options)).rejects.toThrow(/no tokenizer/);
  disposeModel(lm);
});
