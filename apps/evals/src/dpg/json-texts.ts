import { type Random, random } from "@fdiv/tensor-core";
import type { Texts } from "../base-model.ts";

const names = ["name", "age", "city", "tags", "size", "color", "price", "owner"];
const words = ["red", "blue", "green", "anna", "bob", "paris", "rome", "small", "large", "old"];
const digits = Array.from({ length: 10 }, (_, i) => String(i));
const structure = ["{", "}", "[", "]", ":", ",", "true", "false", "null"];
const requests = ["object", "array", "with", "items", "=>"];

const pick = <T>(list: readonly T[], stream: Random): T => list[stream.integer(list.length)]!;

function value(stream: Random, depth: number): string[] {
  const kind = stream.next();
  if (depth > 0 && kind < 0.15) return array(stream, 1 + stream.integer(3), depth - 1);
  if (kind < 0.45) return [`"${pick(words, stream)}"`];
  if (kind < 0.85) return [pick(digits, stream)];
  return [pick(["true", "false", "null"], stream)];
}

const separated = (parts: readonly string[][]): string[] =>
  parts.flatMap((part, i) => (i === 0 ? part : [",", ...part]));

const array = (stream: Random, items: number, depth: number): string[] => [
  "[",
  ...separated(Array.from({ length: items }, () => value(stream, depth))),
  "]",
];

const object = (stream: Random, keys: readonly string[]): string[] => [
  "{",
  ...separated(keys.map((key) => [`"${key}"`, ":", ...value(stream, 1)])),
  "}",
];

/** Breaks JSON as hasty writers do: each token of its structure is left out, doubled or taken for another with this probability. */
function broken(tokens: readonly string[], probability: number, stream: Random): string[] {
  return tokens.flatMap((token) => {
    if (!structure.slice(0, 6).includes(token) || stream.next() >= probability) return [token];
    const how = stream.integer(3);
    if (how === 0) return [];
    return how === 1 ? [token, token] : [pick(structure.slice(0, 6), stream)];
  });
}

/** A request such as `object with name age =>` or `array 3 items =>`. */
function request(stream: Random): { prompt: string; tokens: string[] } {
  if (stream.next() < 0.5) {
    const items = 1 + stream.integer(4);
    return { prompt: `array ${items} items =>`, tokens: array(stream, items, 1) };
  }
  const order = stream.permutation(names.length);
  const keys = Array.from(order.slice(0, 1 + stream.integer(3)), (i) => names[i]!);
  return { prompt: `object with ${keys.join(" ")} =>`, tokens: object(stream, keys) };
}

/** The prompts that completions are judged under; the longer what they ask for, the more often it breaks. */
export const jsonPrompts = [
  "array 1 items =>",
  "array 2 items =>",
  "array 3 items =>",
  "array 4 items =>",
  "object with name =>",
  "object with city size =>",
  "object with age owner price =>",
  "object with tags color =>",
];

/** Texts of requests, each answered by JSON that is broken now and then. */
export function jsonTexts({ count = 6000, breaks = 0.08, seed = 1 } = {}): Texts {
  const stream = random(seed).fork("json");
  const texts = Array.from({ length: count }, () => {
    const { prompt, tokens } = request(stream);
    return `${prompt} ${broken(tokens, breaks, stream).join(" ")}`;
  });
  const quoted = [...names, ...words].map((word) => `"${word}"`);
  return { texts, vocabulary: [...structure, ...requests, ...digits, ...names, ...quoted] };
}
