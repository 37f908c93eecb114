import type { CausalLm } from "./causal-lm.ts";
import type { Finish } from "./decoding-loop.ts";
import { type GenerateOptions, generate, streamTokens } from "./generate.ts";
import { endIds } from "./stop.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

export type GenerateTextOptions = Omit<GenerateOptions, "prompts" | "onToken"> & {
  /** Reads special tokens in the prompts as such, as a chat template's output needs; false by default. */
  parseSpecial?: boolean;
  /** Puts the model's BOS before the prompt; true unless parseSpecial, for a template writes its own. */
  addSpecial?: boolean;
};

export interface GeneratedText {
  /** The continuation alone, without what ended it. */
  text: string;
  ids: number[];
  /** ln probability under the law sampled from, and under the model itself. */
  logProbs: Float32Array;
  policyLogProbs: Float32Array;
  finished: Finish;
}

function tokenizerOf(model: CausalLm): Tokenizer {
  if (!model.tokenizer) throw new Error("the model has no tokenizer; use generate with token ids.");
  return model.tokenizer;
}

function encodePrompt(model: CausalLm, prompt: string, options: GenerateTextOptions): number[] {
  const { parseSpecial = false, addSpecial = !parseSpecial } = options;
  const ids = tokenizerOf(model).encode(prompt, { addSpecial, parseSpecial });
  if (ids.length > 0) return ids;
  const start = model.tokenizer?.bosId ?? model.config.bosId;
  return start === undefined ? ids : [start];
}

/** The text before the first stop string. */
function cutAt(text: string, stop: (number | string)[] = []): string {
  const ends = stop
    .filter((item) => typeof item === "string")
    .map((string) => text.indexOf(string))
    .filter((index) => index >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}

/** The continuation's text: what the prompt and it say together, less what the prompt says. */
function continuation(tokenizer: Tokenizer, prompt: number[], ids: number[], ends: Set<number>): string {
  const decoder = tokenizer.decoder();
  for (const id of prompt) decoder.push(id);
  let text = "";
  for (const id of ids) if (!ends.has(id)) text += decoder.push(id);
  return text + decoder.flush();
}

const stopIdsOf = (model: CausalLm, options: GenerateTextOptions): Set<number> =>
  new Set([...endIds(model), ...(options.stop ?? []).filter((item) => typeof item === "number")]);

/**
 * Samples a continuation of every prompt, as text.
 *
 * @throws when the model has no tokenizer, or a prompt does not fit the context.
 */
export async function generateText(
  model: CausalLm,
  prompts: string[],
  options: GenerateTextOptions,
): Promise<GeneratedText[]> {
  const tokenizer = tokenizerOf(model);
  const encoded = prompts.map((prompt) => encodePrompt(model, prompt, options));
  const { ids, logProbs, policyLogProbs, finished } = await generate(model, { ...options, prompts: encoded });
  const ends = stopIdsOf(model, options);
  return ids.map((row, i) => ({
    text: cutAt(continuation(tokenizer, encoded[i]!, row, ends), options.stop),
    ids: row,
    logProbs: logProbs[i]!,
    policyLogProbs: policyLogProbs[i]!,
    finished: finished[i]!,
  }));
}

/**
 * Samples one continuation and yields its text as it grows; text that may turn out to begin a stop string waits.
 *
 * @throws when the model has no tokenizer, or the prompt does not fit the context.
 */
export async function* streamText(
  model: CausalLm,
  prompt: string,
  options: GenerateTextOptions,
): AsyncGenerator<string, void, undefined> {
  const decoder = tokenizerOf(model).decoder();
  const encoded = encodePrompt(model, prompt, options);
  for (const id of encoded) decoder.push(id);
  const ends = stopIdsOf(model, options);
  const strings = (options.stop ?? []).filter((item) => typeof item === "string");
  const held = Math.max(0, ...strings.map(({ length }) => length - 1));
  let text = "";
  let shown = 0;
  for await (const { id } of streamTokens(model, { ...options, prompts: [encoded] })) {
    if (!ends.has(id)) text += decoder.push(id);
    const cut = cutAt(text, options.stop);
    const safe = cut.length < text.length ? cut.length : Math.max(shown, text.length - held);
    if (safe > shown) yield text.slice(shown, safe);
    shown = Math.max(shown, safe);
  }
  const rest = cutAt(text + decoder.flush(), options.stop).slice(shown);
  if (rest) yield rest;
}
