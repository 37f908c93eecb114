import { disposeParameters, linear, selectedLogProbs } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import { addLora } from "./lora.ts";
import { copyModel, disposeModel, freeze, trainableParameters, unfreeze } from "./parameterised.ts";
import { headWeight, scoredStates } from "./scoring.ts";
import { isT5, type T5 } from "./t5/t5-model.ts";
import type { TokenRows } from "./token-rows.ts";

/** A model that writes, whose prefixes can be valued. */
export type Writer = CausalLm | T5;

/** A number for every prefix: a linear function of the (decoder's) hidden state after it. */
export interface ValueHead<M extends Writer = CausalLm> {
  /** What is trained, by name: the head's weight [1, hiddenSize] and bias [1], and a trunk's own under `trunk.…`. */
  parameters: Map<string, tf.Variable>;
  /** The model whose hidden states are read, where that is not the policy itself. */
  trunk?: M;
}

export interface ValueHeadOptions {
  /**
   * `shared` (default) reads the policy's own hidden states, which the value's loss then trains too; `separate` those of a copy, which costs as much again and leaves
   * the policy alone. Of a model with an adapter the copy has one of its own.
   */
  trunk?: "shared" | "separate";
  /** Of a copied adapter's random start; 0 by default. */
  seed?: number | string;
}

export const valueHeadNames = { weight: "v_head.weight", bias: "v_head.bias" } as const;

function ownTrunk<M extends Writer>(model: M, seed: number | string): M {
  const trunk = copyModel(model);
  if (model.lora) addLora(trunk, { ...model.lora.config, seed });
  else unfreeze(trunk);
  return trunk;
}

/** Everything of a head that is trained; of a trunk not the head over the vocabulary, unless it is the embedding too. */
export function valueHeadOf<M extends Writer>(
  weight: tf.Variable,
  bias: tf.Variable,
  trunk?: M,
): ValueHead<M> {
  if (trunk && !trunk.config.tiedHead) freeze(trunk, vocabularyHead(trunk));
  const parameters = new Map<string, tf.Variable>([
    [valueHeadNames.weight, weight],
    [valueHeadNames.bias, bias],
  ]);
  for (const [name, variable] of trunk ? trainableParameters(trunk) : [])
    parameters.set(`trunk.${name}`, variable);
  return { parameters, ...(trunk && { trunk }) };
}

const vocabularyHead = (model: Writer): string =>
  isT5(model) ? "lm_head.weight" : familyOf(model.config.modelType).headName(model.config);

/** A head that says 0 everywhere, to be trained as PPO's critic. */
export function createValueHead<M extends Writer>(model: M, options: ValueHeadOptions = {}): ValueHead<M> {
  const { trunk = "shared", seed = 0 } = options;
  const zeros = (shape: number[]): tf.Variable => tf.tidy(() => tf.variable(tf.zeros(shape)));
  return valueHeadOf(
    zeros([1, model.config.hiddenSize]),
    zeros([1]),
    trunk === "separate" ? ownTrunk(model, seed) : undefined,
  );
}

/** The values of hidden states [states, hiddenSize], [states]. */
export const valuesOf = (head: Pick<ValueHead, "parameters">, states: tf.Tensor2D): tf.Tensor1D => {
  const { weight, bias } = valueHeadNames;
  const rows = linear(states, head.parameters.get(weight) as tf.Tensor, {
    bias: head.parameters.get(bias) as tf.Tensor,
  });
  return tf.reshape(rows, [states.shape[0]]);
};

/**
 * The value of what comes before each scored token, differentiable.
 *
 * @returns [scored]
 */
export function tokenValues(model: CausalLm, head: ValueHead, rows: TokenRows): tf.Tensor1D {
  return tf.tidy(() => valuesOf(head, scoredStates(head.trunk ?? model, rows, rows.scored.state)));
}

/**
 * The log-probability of each scored token and the value of what comes before it, differentiable; with a shared trunk the hidden states are
 * computed once.
 *
 * @param options.chunk how many tokens' logits exist at a time
 * @returns [scored] each
 */
export function tokenLogProbsAndValues(
  model: CausalLm,
  head: ValueHead,
  rows: TokenRows,
  options: { chunk?: number } = {},
): { logProbs: tf.Tensor1D; values: tf.Tensor1D } {
  const [logProbs, values] = tf.tidy((): [tf.Tensor1D, tf.Tensor1D] => {
    const states = scoredStates(model, rows, rows.scored.state);
    const targets = tf.tensor1d(rows.scored.target, "int32");
    return [
      selectedLogProbs(states, headWeight(model), targets, options),
      head.trunk ? tokenValues(model, head, rows) : valuesOf(head, states),
    ];
  });
  return { logProbs, values };
}

/** Frees the head's memory, and its trunk's. */
export function disposeValueHead(head: ValueHead<Writer>): void {
  if (head.trunk) disposeModel(head.trunk);
  const own = [...head.parameters].filter(([name]) => !name.startsWith("trunk."));
  disposeParameters(new Map(own));
  head.parameters.clear();
}
