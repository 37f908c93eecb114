import type { Distribution, Policy, Samples, Snapshot } from "@fdiv/dpg";
import type { Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Prompt, Text, TextModel } from "./text-model.ts";

export type { Prompt, Text } from "./text-model.ts";

export interface LanguagePolicyOptions {
  maxTokens: number;
  /** Texts computed at a time. */
  chunk: number;
}

/** What a policy was before training. */
export interface LanguageBase extends Distribution<Text, Prompt> {
  /** ln probability of each token, those of a text together. */
  tokenLogProbs(outcomes: readonly Text[], prompts: readonly Prompt[]): Promise<Float64Array>;
  /** Runs f while the model is the base; nothing else may use it meanwhile. */
  being<T>(f: () => Promise<T>): Promise<T>;
  dispose(): void;
}

/** A language model as a policy, with what it was before training. */
export interface LanguagePolicy extends Policy<Text, Prompt> {
  /** The model as it is now, frozen: the adapter switched off, or a copy of its parameters. */
  base: LanguageBase;
  snapshot(parameters?: ReadonlyMap<string, tf.Tensor>): Snapshot<Text, Prompt>;
}

/**
 * A language model as a policy over texts of at most `maxTokens` tokens. Texts are drawn at temperature 1 from the whole
 * vocabulary, which is the law that is scored; a text that is cut off counts with the probability of the tokens it has.
 */
export function languagePolicy(model: TextModel, options: LanguagePolicyOptions): LanguagePolicy {
  const { maxTokens, chunk } = options;
  const { tokenizer, parameters } = model;

  async function sample(prompts: readonly Prompt[], random: Random): Promise<Samples<Text>> {
    const seed = [...random.uint32(2)].join("-");
    const outcomes: Text[] = [];
    const logProbs: number[] = [];
    for (let from = 0; from < prompts.length; from += chunk) {
      const asked = prompts.slice(from, from + chunk);
      const drawn = await model.draw(asked, { maxTokens, seed, firstRow: from });
      for (const [i, ids] of drawn.ids.entries()) {
        outcomes.push({ ids, text: tokenizer.decode(ids, { skipSpecial: true }) });
        logProbs.push(drawn.logProbs[i]!.reduce((sum, x) => sum + x, 0));
      }
    }
    return { outcomes, logProbs };
  }

  const scored = model.textLogProbs;

  async function scoreTokens(outcomes: readonly Text[], prompts: readonly Prompt[]): Promise<Float64Array> {
    const found: number[] = [];
    for (let from = 0; from < outcomes.length; from += chunk) {
      const part = model.tokenLogProbs(outcomes.slice(from, from + chunk), prompts.slice(from, from + chunk));
      for (const logProb of await part.data()) found.push(logProb);
      part.dispose();
    }
    return Float64Array.from(found);
  }

  async function score(outcomes: readonly Text[], prompts: readonly Prompt[]): Promise<Float64Array> {
    const found = new Float64Array(outcomes.length);
    for (let from = 0; from < outcomes.length; from += chunk) {
      const part = scored(outcomes.slice(from, from + chunk), prompts.slice(from, from + chunk));
      found.set(await part.data(), from);
      part.dispose();
    }
    return found;
  }

  /** Runs f while the model has other parameters; nothing else may use the model meanwhile. */
  async function having<T>(others: ReadonlyMap<string, tf.Tensor>, f: () => Promise<T>): Promise<T> {
    const held = new Map<string, tf.Tensor>();
    for (const [name, variable] of parameters) {
      held.set(name, tf.clone(variable));
      variable.assign(others.get(name)!);
    }
    try {
      return await f();
    } finally {
      for (const [name, variable] of parameters) {
        variable.assign(held.get(name)!);
        held.get(name)!.dispose();
      }
    }
  }

  // Training changes variables in place, so a copy needs memory of its own.
  const copied = (given: ReadonlyMap<string, tf.Tensor> = parameters): Map<string, tf.Tensor> =>
    new Map([...parameters.keys()].map((name) => [name, tf.tidy(() => tf.add(given.get(name)!, 0))]));

  function snapshot(given?: ReadonlyMap<string, tf.Tensor>): Snapshot<Text, Prompt> {
    const own = copied(given);
    return {
      parameters: own,
      sample: (prompts, random) => having(own, () => sample(prompts, random)),
      logProbs: (outcomes, prompts) => having(own, () => score(outcomes, prompts)),
      dispose: () => tf.dispose([...own.values()]),
    };
  }

  function baseNow(): LanguageBase {
    const copy = model.withoutAdapter ? undefined : copied();
    const being = <T>(f: () => Promise<T>): Promise<T> => (copy ? having(copy, f) : model.withoutAdapter!(f));
    return {
      being,
      sample: (prompts, random) => being(() => sample(prompts, random)),
      logProbs: (outcomes, prompts) => being(() => score(outcomes, prompts)),
      tokenLogProbs: (outcomes, prompts) => being(() => scoreTokens(outcomes, prompts)),
      dispose: () => tf.dispose([...(copy?.values() ?? [])]),
    };
  }

  return {
    parameters,
    sample,
    // Beside a gradient the texts of a step need not be computed at once.
    logProbs(outcomes, prompts) {
      if (tf.engine().isTapeOn() || outcomes.length <= chunk) return scored(outcomes, prompts);
      return tf.tidy(() => {
        const parts: tf.Tensor1D[] = [];
        for (let from = 0; from < outcomes.length; from += chunk)
          parts.push(scored(outcomes.slice(from, from + chunk), prompts.slice(from, from + chunk)));
        return tf.concat1d(parts);
      });
    },
    snapshot,
    base: baseNow(),
  };
}
