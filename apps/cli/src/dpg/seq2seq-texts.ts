import {
  createValueHead,
  disposeModel,
  generateSeq2Seq,
  seq2seqLogProbs,
  type T5,
  type T5Batch,
  t5Batch,
  t5TokenLogProbs,
  t5TokenLogProbsAndValues,
  trainableParameters,
  withoutAdapter,
} from "@fdiv/models";
import { saveT5 } from "@fdiv/models/node";
import { saveWithAdapter } from "../runs/adapter.ts";
import { type Prompt, type Text, type TextModel, textValues } from "./text-model.ts";

/** An encoder-decoder model: the encoder reads the prompt, and the text is what the decoder answers. @throws when the model has no tokenizer */
export function seq2seqTexts(model: T5): TextModel {
  const { tokenizer, config } = model;
  if (!tokenizer) throw new Error("the model has no tokenizer, and features are of texts.");
  const batchOf = (texts: readonly Text[], prompts: readonly Prompt[]): T5Batch =>
    t5Batch(
      texts.map(({ ids }, i) => ({ input: prompts[i]!.ids, outputs: [ids] })),
      config,
    );
  return {
    tokenizer,
    parameters: trainableParameters(model),
    promptIds(text) {
      const ids = tokenizer.encode(text, { addSpecial: true });
      return ids.length > 0 ? ids : [config.eosIds[0] ?? config.padId];
    },
    async draw(prompts, options) {
      const { ids, policyLogProbs } = await generateSeq2Seq(model, {
        inputs: prompts.map((prompt) => prompt.ids),
        temperature: 1,
        ...options,
      });
      return { ids, logProbs: policyLogProbs };
    },
    textLogProbs: (texts, prompts) => seq2seqLogProbs(model, batchOf(texts, prompts)),
    tokenLogProbs: (texts, prompts) => t5TokenLogProbs(model, batchOf(texts, prompts)),
    valued: (options) =>
      textValues(createValueHead(model, options), (head, texts, prompts) => {
        const batch = batchOf(texts, prompts);
        return { ...t5TokenLogProbsAndValues(model, head, batch), sequences: batch.scored.sequence };
      }),
    ...(model.lora && { withoutAdapter: <T>(f: () => Promise<T>) => withoutAdapter(model, f) }),
    save: (folder, dtype) => saveWithAdapter(model, saveT5, folder, { dtype }),
    dispose: () => disposeModel(model),
  };
}
