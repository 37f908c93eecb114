import { type DataReport, dataReporter } from "./report.ts";
import { DataError, type Demonstration, type Message, type Preference } from "./row.ts";
import { chooseTemplate, type Rendered, render, spellsSpecial, type Template } from "./template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A preference pair as token ids; the prompt is never empty, for its last token predicts the completions' first. */
export interface TokenPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
  source: string;
}

/** A demonstration as token ids. */
export interface TokenText {
  prompt: number[];
  completion: number[];
  source: string;
}

export interface TokeniseOptions {
  template?: Template | "auto";
  /** Most tokens of prompt and completion together. Default 512. */
  maxLength?: number;
  /** Most tokens of the prompt, whose end is kept. Default: what the completions leave, but half of maxLength at least. */
  maxPromptLength?: number;
}

interface Tokens {
  prompt: number[];
  completions: number[][];
}

const startsWith = (ids: readonly number[], prefix: readonly number[]): boolean =>
  prefix.length <= ids.length && prefix.every((id, i) => ids[i] === id);

/** What the tokenizer puts before a text by itself, a BOS or nothing. */
function opening(tokenizer: Tokenizer): number[] {
  return tokenizer
    .encode("", { addSpecial: true })
    .filter((id) => id !== tokenizer.eosId || id === tokenizer.bosId);
}

function tokensOf({ prompt, completions, special }: Rendered, tokenizer: Tokenizer, open: readonly number[]) {
  const encode = (text: string): number[] =>
    text === "" ? [] : tokenizer.encode(text, { parseSpecial: special });
  const bare = encode(prompt);
  const start = open.length > 0 && bare[0] === open[0] ? [] : open;
  const promptIds = [...start, ...bare];
  if (promptIds.length === 0) {
    const stand = tokenizer.bosId ?? tokenizer.eosId;
    if (stand === undefined)
      throw new DataError("an empty prompt needs a BOS or EOS token, and the tokenizer has neither.");
    promptIds.push(stand);
  }
  let merged = false;
  const completionIds = completions.map((completion) => {
    // As part of the whole text where that leaves the prompt's own tokens alone; some tokenizers begin every text with a space.
    const whole = encode(prompt + completion);
    const fits = startsWith(whole, bare);
    merged ||= !fits;
    return ended(fits ? whole.slice(bare.length) : encode(completion), completion, tokenizer, special);
  });
  return { tokens: { prompt: promptIds, completions: completionIds }, merged };
}

/** One EOS at the end: what a template writes after it is cut, and none is added to an empty completion. */
function ended(ids: number[], text: string, { eosId }: Tokenizer, special: boolean): number[] {
  if (eosId === undefined || text.trim() === "") return ids;
  const last = special ? ids.lastIndexOf(eosId) : -1;
  if (last >= 0) return ids.slice(0, last + 1);
  return ids.at(-1) === eosId ? ids : [...ids, eosId];
}

/** Cuts to length: the same prompt for all completions, its opening and its end kept; of completions the start, one token at least. */
function truncate(tokens: Tokens, open: readonly number[], options: TokeniseOptions) {
  const { maxLength = 512 } = options;
  const longest = Math.max(...tokens.completions.map(({ length }) => length));
  const room = options.maxPromptLength ?? Math.max(maxLength - longest, Math.floor(maxLength / 2));
  const most = Math.max(1, Math.min(room, maxLength - 1));
  let { prompt } = tokens;
  const cutPrompt = prompt.length > most;
  if (cutPrompt) {
    const head = startsWith(prompt, open) && open.length < most ? open : [];
    prompt = [...head, ...prompt.slice(prompt.length - (most - head.length))];
  }
  const left = maxLength - prompt.length;
  const completions = tokens.completions.map((ids) => ids.slice(0, left));
  return { prompt, completions, cutPrompt, cutCompletion: longest > left };
}

/**
 * A prompt and the answers that can follow it as token ids, by the rules of demonstrations: what of the prompt does not fit is cut at its
 * beginning, the same for all answers, and each answer ends with EOS.
 *
 * @throws DataError when an answer has no token, or a prompt none to begin with
 */
export function tokeniseCandidates(
  prompt: string,
  candidates: readonly string[],
  tokenizer: Tokenizer,
  options: Pick<TokeniseOptions, "maxLength"> = {},
): { prompt: number[]; candidates: number[][] } {
  const open = opening(tokenizer);
  const { tokens } = tokensOf({ prompt, completions: [...candidates], special: false }, tokenizer, open);
  if (tokens.completions.some(({ length }) => length === 0))
    throw new DataError(`an answer of "${prompt.slice(0, 60)}…" has no token.`);
  const cut = truncate(tokens, open, options);
  return { prompt: cut.prompt, candidates: cut.completions };
}

interface Conversation {
  prompt: string | Message[];
  completions: (string | Message[])[];
  source: string;
}

function contents({ prompt, completions }: Conversation): string[] {
  return [prompt, ...completions].flatMap((part) =>
    typeof part === "string" ? [part] : part.map(({ content }) => content),
  );
}

function tokeniseAll(
  rows: readonly Conversation[],
  format: string,
  tokenizer: Tokenizer,
  options: TokeniseOptions,
  refuse: (completions: number[][]) => string | undefined,
): { tokens: (Tokens & { source: string })[]; report: DataReport } {
  const { maxLength = 512 } = options;
  if (!(maxLength >= 2)) throw new RangeError(`tokenise: maxLength is ${maxLength}, expected 2 or more.`);
  const reporter = dataReporter(format);
  const { report } = reporter;
  const open = opening(tokenizer);
  const templates = new Set<Template>();
  const tokens: (Tokens & { source: string })[] = [];
  for (const row of rows) {
    const { prompt, completions, source } = row;
    report.read++;
    const template = chooseTemplate(options.template ?? "auto", prompt, tokenizer);
    templates.add(template);
    if (template === "chat" && contents(row).some((content) => spellsSpecial(content, tokenizer))) {
      report.spelledSpecials++;
      reporter.drop("the text spells a special token", source);
      continue;
    }
    const rendered = render(template, prompt, completions, tokenizer, source);
    const { tokens: all, merged } = tokensOf(rendered, tokenizer, open);
    reporter.text(
      rendered.prompt + rendered.completions.join(""),
      [...all.prompt, ...all.completions.flat()],
      tokenizer.unkId,
    );
    const cut = truncate(all, open, options);
    const reason = cut.completions.some(({ length }) => length === 0)
      ? "an empty completion"
      : refuse(cut.completions);
    if (reason) {
      reporter.drop(reason, source);
      continue;
    }
    if (merged) report.boundaryMerges++;
    if (cut.cutPrompt) report.truncated.prompts++;
    if (cut.cutCompletion) report.truncated.completions++;
    reporter.keep(source, cut.prompt.length + Math.max(...cut.completions.map(({ length }) => length)));
    report.example ??= {
      source,
      context: tokenizer.decode(cut.prompt),
      scored: cut.completions.map((ids) => tokenizer.decode(ids)),
    };
    tokens.push({ prompt: cut.prompt, completions: cut.completions, source });
  }
  report.template = [...templates].join(", ") || "none";
  reporter.finish();
  if (tokens.length === 0) {
    const why = Object.entries(report.dropped).map(([reason, { count }]) => `${count} for ${reason}`);
    throw new DataError(`none of ${report.read} rows could be used: ${why.join(", ")}.`);
  }
  return { tokens, report };
}

/**
 * Preferences as token ids, by concatenation: the prompt's ids are the same for both sides and a prefix of each. One EOS ends a
 * completion that was not cut. Pairs whose sides are equal, or empty, are dropped and counted.
 *
 * @throws DataError when nothing is left, or a template does not fit the data
 */
export function tokenisePreferences(
  preferences: readonly Preference[],
  tokenizer: Tokenizer,
  options: TokeniseOptions & { format?: string } = {},
): { pairs: TokenPair[]; report: DataReport } {
  const rows = preferences.map(({ prompt, chosen, rejected, source }) => ({
    prompt,
    completions: [chosen, rejected],
    source,
  }));
  const { tokens, report } = tokeniseAll(
    rows,
    options.format ?? "preferences",
    tokenizer,
    options,
    ([a, b]) => (a!.join() === b!.join() ? "chosen and rejected are the same" : undefined),
  );
  const pairs = tokens.map(({ prompt, completions, source }) => ({
    prompt,
    chosen: completions[0]!,
    rejected: completions[1]!,
    source,
  }));
  return { pairs, report };
}

/** Demonstrations as token ids, by the same rules; the completion alone is scored. */
export function tokeniseDemonstrations(
  demonstrations: readonly Demonstration[],
  tokenizer: Tokenizer,
  options: TokeniseOptions & { format?: string } = {},
): { texts: TokenText[]; report: DataReport } {
  const rows = demonstrations.map(({ prompt, completion, source }) => ({
    prompt,
    completions: [completion],
    source,
  }));
  const { tokens, report } = tokeniseAll(
    rows,
    options.format ?? "texts",
    tokenizer,
    options,
    () => undefined,
  );
  const texts = tokens.map(({ prompt, completions, source }) => ({
    prompt,
    completion: completions[0]!,
    source,
  }));
  return { texts, report };
}
