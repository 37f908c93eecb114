import type { Random } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import type { SamplingLaw } from "./law.ts";
import type { LogProbs, Samples } from "./policy.ts";

/** The tokens of outcomes, those of one outcome together and in order. */
export interface TokenScores {
  /** ln probability of each token given what came before, [tokens]. */
  logProbs: tf.Tensor1D;
  /** The value of what came before each token: the return expected from there on, [tokens]. */
  values: tf.Tensor1D;
  /** Which outcome each token belongs to, by its index, [tokens]. */
  sequences: ArrayLike<number>;
}

/**
 * A policy over sequences of tokens with a value of every prefix: what PPO trains.
 *
 * @typeParam X an outcome of at least one token
 * @typeParam C a context that outcomes depend on; undefined where there is none
 */
export interface ActorCritic<X, C = undefined> {
  /** Draws one outcome for each of the contexts, from random numbers of this stream alone. */
  sample(contexts: readonly C[], random: Random): Samples<X> | Promise<Samples<X>>;
  /** Differentiable with respect to the parameters. */
  tokens(outcomes: readonly X[], contexts: readonly C[]): TokenScores;
  /** The law that `tokens` scores; absent where it is the model's own. */
  readonly law?: SamplingLaw;
  /** The policy's and the value head's together. */
  readonly parameters: ReadonlyMap<string, tf.Variable>;
}

/** What PPO's policy is held to. */
export interface TokenReference<X, C = undefined> {
  /** ln probability of each token, [tokens], in the order of the policy's. */
  tokenLogProbs(outcomes: readonly X[], contexts: readonly C[]): LogProbs | Promise<LogProbs>;
}
