import {
  type CausalLm,
  createValueHead,
  disposeModel,
  disposeValueHead,
  generate,
  sequenceLogProbs,
  type Tokenizer,
  type TokenRows,
  tokenLogProbs,
  tokenLogProbsAndValues,
  tokenRows,
  trainableParameters,
  type ValueHead,
  type ValueHeadOptions,
  type Writer,
  withoutAdapter,
} from "@fdiv/models";
import { saveCausalLm, saveValueHead, type WeightType } from "@fdiv/models/node";
import type * as tf from "@tensorflow/tfjs-core";
import { saveWithAdapter } from "../runs/adapter.ts";
import { promptTokens } from "../runs/evaluate-policy.ts";

/** What a text begins with, or answers. */
export interface Prompt {
  text: string;
  ids: readonly number[];
}

/** A text that was written, an end-of-text token included where it has one. */
export interface Text {
  ids: number[];
  text: string;
}

export interface DrawOptions {
  maxTokens: number;
  seed: string;
  /** The index that the first prompt's draws count from. */
  firstRow: number;
}

/** Numbers for the prefixes of texts, to be trained beside the model that writes them. */
export interface TextValues {
  /** What is trained. */
  parameters: ReadonlyMap<string, tf.Variable>;
  /** ln probability of each token and the value of what comes before it [tokens], differentiable, and which text each token is of. */
  tokens(
    texts: readonly Text[],
    prompts: readonly Prompt[],
  ): { logProbs: tf.Tensor1D; values: tf.Tensor1D; sequences: Int32Array };
  save(folder: string): Promise<void>;
  dispose(): void;
}

/** A model that writes texts after prompts, whatever it is made of: what a language policy needs of it. */
export interface TextModel {
  tokenizer: Tokenizer;
  /** What training may change. */
  parameters: Map<string, tf.Variable>;
  promptIds(text: string): number[];
  /** A text after each prompt, at temperature 1 from the whole vocabulary, with each token's ln probability. */
  draw(
    prompts: readonly Prompt[],
    options: DrawOptions,
  ): Promise<{ ids: number[][]; logProbs: Float32Array[] }>;
  /** ln probability of each text [texts], differentiable. */
  textLogProbs(texts: readonly Text[], prompts: readonly Prompt[]): tf.Tensor1D;
  /** ln probability of each token, those of a text together [tokens], differentiable. */
  tokenLogProbs(texts: readonly Text[], prompts: readonly Prompt[]): tf.Tensor1D;
  /** A value head that says 0 everywhere. */
  valued(options: ValueHeadOptions): TextValues;
  /** Runs f with the adapter off, where there is one: the base then needs no copy. */
  withoutAdapter?<T>(f: () => Promise<T>): Promise<T>;
  /** Writes `model`, and `adapter` where there is one, into a run's folder. */
  save(folder: (name: string) => string, dtype: WeightType): Promise<void>;
  dispose(): void;
}

/** Texts after their prompts, a row each. */
const rowsOf = (texts: readonly Text[], prompts: readonly Prompt[]): TokenRows =>
  tokenRows(texts.map(({ ids }, i) => ({ prompt: [...prompts[i]!.ids], completions: [ids] })));

/** A value head as texts have it. */
export function textValues<M extends Writer>(
  head: ValueHead<M>,
  tokens: (
    head: ValueHead<M>,
    ...given: Parameters<TextValues["tokens"]>
  ) => ReturnType<TextValues["tokens"]>,
): TextValues {
  return {
    parameters: head.parameters,
    tokens: (texts, prompts) => tokens(head, texts, prompts),
    save: (folder) => saveValueHead(head, folder),
    dispose: () => disposeValueHead(head),
  };
}

/** A decoder-only model: a text goes on where its prompt ends. @throws when the model has no tokenizer */
export function decoderTexts(model: CausalLm): TextModel {
  const { tokenizer } = model;
  if (!tokenizer) throw new Error("the model has no tokenizer, and features are of texts.");
  return {
    tokenizer,
    parameters: trainableParameters(model),
    promptIds: (text) => promptTokens(tokenizer, text),
    async draw(prompts, options) {
      const { ids, policyLogProbs } = await generate(model, {
        prompts: prompts.map((prompt) => [...prompt.ids]),
        temperature: 1,
        ...options,
      });
      return { ids, logProbs: policyLogProbs };
    },
    textLogProbs: (texts, prompts) => sequenceLogProbs(model, rowsOf(texts, prompts)),
    tokenLogProbs: (texts, prompts) => tokenLogProbs(model, rowsOf(texts, prompts)),
    valued: (options) =>
      textValues(createValueHead(model, options), (head, texts, prompts) => {
        const rows = rowsOf(texts, prompts);
        return { ...tokenLogProbsAndValues(model, head, rows), sequences: rows.scored.sequence };
      }),
    ...(model.lora && { withoutAdapter: <T>(f: () => Promise<T>) => withoutAdapter(model, f) }),
    save: (folder, dtype) => saveWithAdapter(model, saveCausalLm, folder, { dtype }),
    dispose: () => disposeModel(model),
  };
}
