import type { Checkpoint } from "./checkpoint.ts";
import { type CausalLmConfig, type CausalLmOptions, causalLmConfig } from "./config.ts";
import { familyOf } from "./families.ts";
import { initialParameters, readParameters } from "./held-parameters.ts";
import { checkParameters, neededParameters } from "./parameter-check.ts";
import type { Parameterised } from "./parameterised.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";
import { checkStorage, type HoldOptions } from "./weight-storage.ts";

/** A causal language model: an architecture and its parameters; every operation on it is a function. */
export interface CausalLm extends Parameterised {
  config: CausalLmConfig;
  tokenizer?: Tokenizer;
}

export interface InitialisationOptions extends HoldOptions {
  /** The same seed gives the same parameters on every backend. */
  seed: number | string;
  tokenizer?: Tokenizer;
}

/**
 * A new model with random parameters, drawn as Hugging Face draws them: weights normal with standard deviation
 * `initializerRange`, biases 0, norms 1, and GPT-2's residual projections divided by √(2·layers).
 *
 * @throws where the family is unknown, the config can't be, or weights can't be stored as asked.
 */
export function createCausalLm(options: CausalLmOptions, init: InitialisationOptions): CausalLm {
  checkStorage(init);
  const family = familyOf(options.modelType);
  const config = causalLmConfig(options);
  const parameters = initialParameters(family.parameters(config), init);
  return { config, parameters, ...(init.tokenizer && { tokenizer: init.tokenizer }) };
}

/**
 * Builds a model from a checkpoint, after holding its tensors' names and shapes against the architecture.
 *
 * @throws one error that lists every missing, unexpected and mis-shaped tensor.
 */
export async function causalLmFrom(checkpoint: Checkpoint, options: HoldOptions = {}): Promise<CausalLm> {
  checkStorage(options);
  const { config, tokenizer } = checkpoint;
  const tensors = [...checkpoint.tensors];
  checkParameters(config, tensors);
  const needed = neededParameters(config, tensors).map(({ name, tensor }) => ({ ...tensor, name }));
  const parameters = await readParameters(needed, options);
  return { config, parameters, ...(tokenizer && { tokenizer }) };
}
