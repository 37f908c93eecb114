import { createCausalLm, createEncoder, createT5, disposeModel, type Tokenizer } from "@fdiv/models";
import { openTokenizer, saveCausalLm, saveEncoder, saveT5 } from "@fdiv/models/node";
import { countParameters } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";

interface Sizes {
  hiddenSize: number;
  layers: number;
  heads: number;
}

export interface NewModel extends Sizes {
  family: keyof typeof makers;
  /** A folder with the tokenizer to take, such as BERT's. */
  tokenizer: string;
  output: string;
  seed: number;
}

/** What ends a text: BERT's tokenizers have it in their template alone. */
function endOf(tokenizer: Tokenizer): number {
  const id = tokenizer.eosId ?? tokenizer.encode("", { addSpecial: true }).at(-1);
  if (id === undefined) throw new Error("nothing ends a text of this tokenizer.");
  return id;
}

const longest = 128;

const makers = {
  async bert(sizes: Sizes, tokenizer: Tokenizer, seed: number, output: string) {
    const { vocabularySize } = tokenizer;
    const model = createEncoder(
      { modelType: "bert", vocabularySize, ...sizes, positions: longest },
      { seed, tokenizer },
    );
    await saveEncoder(model, output);
    return model;
  },
  async llama(sizes: Sizes, tokenizer: Tokenizer, seed: number, output: string) {
    const options = {
      vocabularySize: tokenizer.vocabularySize,
      ...sizes,
      maxPositions: longest,
      tiedHead: true,
    };
    const model = createCausalLm(
      { modelType: "llama", ...options, eosIds: [endOf(tokenizer)] },
      { seed, tokenizer },
    );
    await saveCausalLm(model, output);
    return model;
  },
  async t5(sizes: Sizes, tokenizer: Tokenizer, seed: number, output: string) {
    const { vocabularySize, padId = 0 } = tokenizer;
    const model = createT5(
      { vocabularySize, ...sizes, eosIds: [endOf(tokenizer)], padId },
      { seed, tokenizer },
    );
    await saveT5(model, output);
    return model;
  },
};

export const newModelFamilies = Object.keys(makers) as NewModel["family"][];

/**
 * Writes a model of random weights with a given tokenizer, for experiments without a pretrained one: the teacher is then one that was trained
 * on the task alone.
 *
 * @returns how many parameters it has
 */
export async function writeNewModel(options: NewModel): Promise<number> {
  const { family, hiddenSize, layers, heads, seed, output } = options;
  await startBackend({});
  const tokenizer = await openTokenizer(options.tokenizer);
  if (!tokenizer) throw new Error(`${options.tokenizer}: there is no tokenizer in it.`);
  const model = await makers[family]({ hiddenSize, layers, heads }, tokenizer, seed, output);
  const count = countParameters(model.parameters);
  disposeModel(model);
  return count;
}
