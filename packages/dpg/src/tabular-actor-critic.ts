import { gatherRows } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { ActorCritic, TokenReference } from "./actor-critic.ts";
import { type AutoregressiveTabularPolicy, autoregressiveTabularPolicy } from "./autoregressive-tabular.ts";

/** A table of laws and a table of values, one row a prefix. */
export interface TabularActorCritic extends ActorCritic<readonly number[], undefined> {
  readonly policy: AutoregressiveTabularPolicy;
  /** The policy as it is now, frozen, to be held to. */
  reference(): TokenReference<readonly number[], undefined> & { dispose(): void };
  dispose(): void;
}

/**
 * `autoregressiveTabularPolicy` with a value of every prefix, from 0: PPO where everything can be enumerated.
 *
 * @throws RangeError when there would be more than 10⁵ prefixes
 */
export function tabularActorCritic(
  options: Parameters<typeof autoregressiveTabularPolicy>[0],
): TabularActorCritic {
  const policy = autoregressiveTabularPolicy(options);
  const values = tf.tidy(() => tf.variable(tf.zeros([policy.prefixes, 1])));
  return {
    policy,
    parameters: new Map([...policy.parameters, ["values", values]]),
    sample: (contexts, random) => policy.sample(contexts, random),
    tokens(outcomes) {
      const { logProbs, prefixes, sequences } = policy.tokens(outcomes);
      const rows = gatherRows(values, tf.tensor1d(prefixes, "int32"));
      return { logProbs, values: tf.reshape(rows, [prefixes.length]), sequences };
    },
    reference() {
      const logits = policy.parameters.get("logits")!.dataSync();
      const copy = autoregressiveTabularPolicy({ ...options, logits: Float32Array.from(logits) });
      return { tokenLogProbs: (outcomes) => copy.tokens(outcomes).logProbs, dispose: () => copy.dispose() };
    },
    dispose() {
      policy.dispose();
      values.dispose();
    },
  };
}
