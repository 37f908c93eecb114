import { createT5, disposeModel } from "@fdiv/models";
import { openTokenizer, saveT5 } from "@fdiv/models/node";
import { countParameters } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";

export interface NewSeq2Seq {
  /** A folder with the tokenizer to take, such as BERT's. */
  tokenizer: string;
  output: string;
  hiddenSize: number;
  layers: number;
  heads: number;
  seed: number;
}

/**
 * A T5 of random weights with a given tokenizer, for experiments without a pretrained one: the teacher is then one that was trained on the
 * task alone.
 *
 * @returns how many parameters it has
 */
export async function writeNewSeq2Seq(options: NewSeq2Seq): Promise<number> {
  const { hiddenSize, layers, heads, seed } = options;
  await startBackend({});
  const tokenizer = await openTokenizer(options.tokenizer);
  if (!tokenizer) throw new Error(`${options.tokenizer}: there is no tokenizer in it.`);
  // BERT's tokenizers end a text with what they call the separator.
  const eosId = tokenizer.eosId ?? tokenizer.encode("", { addSpecial: true }).at(-1);
  if (eosId === undefined) throw new Error(`${options.tokenizer}: nothing ends a text of its tokenizer.`);
  const model = createT5(
    {
      vocabularySize: tokenizer.vocabularySize,
      ...{ hiddenSize, layers, heads },
      eosIds: [eosId],
      padId: tokenizer.padId ?? 0,
      // Embeddings of deviation 1, as T5 draws them, swamp what so small a model learns.
      initializerFactor: 0.2,
    },
    { seed, tokenizer },
  );
  await saveT5(model, options.output);
  const count = countParameters(model.parameters);
  disposeModel(model);
  return count;
}
