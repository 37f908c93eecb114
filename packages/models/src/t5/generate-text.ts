import type { DecodingOptions, Finish } from "../decoding-loop.ts";
import { generateSeq2Seq } from "./t5-generate.ts";
import type { T5 } from "./t5-model.ts";

export interface Seq2SeqTextOptions extends DecodingOptions {
  /** Tokens an input is cut to; default 512, as T5 was trained. */
  maxInput?: number;
  /** Inputs a batch; 16 by default. */
  batchRows?: number;
}

export interface Seq2SeqText {
  text: string;
  ids: number[];
  /** ln probability of the tokens under the model itself. */
  logProb: number;
  finished: Finish;
}

/** A text's ids with the end-of-sequence token, cut to `maxLength`. @throws when the model has no tokenizer. */
export function t5Input({ tokenizer }: T5, text: string, maxLength = 512): number[] {
  if (!tokenizer?.encodeInput)
    throw new Error("the model has no tokenizer; give it one, or give token ids instead of texts.");
  return tokenizer.encodeInput(text, undefined, { maxLength }).ids;
}

/** Writes an output text to every input text; row i's draws depend on (seed, i) alone. @throws when the model has no tokenizer. */
export async function generateSeq2SeqText(
  model: T5,
  texts: readonly string[],
  { maxInput = 512, batchRows = 16, ...options }: Seq2SeqTextOptions,
): Promise<Seq2SeqText[]> {
  const inputs = texts.map((text) => t5Input(model, text, maxInput));
  const out: Seq2SeqText[] = [];
  for (let from = 0; from < inputs.length; from += batchRows) {
    const part = inputs.slice(from, from + batchRows);
    const firstRow = (options.firstRow ?? 0) + from;
    const { ids, policyLogProbs, finished } = await generateSeq2Seq(model, {
      ...options,
      inputs: part,
      firstRow,
    });
    ids.forEach((row, i) => {
      out.push({
        text: model.tokenizer!.decode(row, { skipSpecial: true }),
        ids: row,
        logProb: policyLogProbs[i]!.reduce((sum, each) => sum + each, 0),
        finished: finished[i]!,
      });
    });
  }
  return out;
}
