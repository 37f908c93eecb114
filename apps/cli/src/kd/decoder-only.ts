import {
  DataError,
  perAnswer,
  scoreOfText,
  type Task,
  type TaskItem,
  taskText,
  tokeniseCandidates,
} from "@fdiv/data";
import {
  type CausalLm,
  disposeModel,
  generate,
  logits,
  sequenceLogProbs,
  type TokenRows,
  tokenRows,
  trainableParameters,
  withDropout,
} from "@fdiv/models";
import { saveCausalLm } from "@fdiv/models/node";
import { countParameters } from "@fdiv/tensor-core";
import { microBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import { saveWithAdapter } from "../runs/adapter.ts";
import { modelFingerprint } from "../runs/reference.ts";
import type { Example, KdModel, Layout, Prediction } from "./kd-model.ts";
import { softmaxOf } from "./softmax.ts";

interface TextExample extends Example {
  prompt: readonly number[];
  completion: readonly number[];
}

interface RowsLayout extends Layout {
  rows: TokenRows;
}

/** Padded tokens that predictions are computed of at a time. */
const predictionTokens = 4096;

const exampleOf = (
  prompt: readonly number[],
  completion: readonly number[],
  source: string,
  isSampled = false,
): TextExample => ({
  prompt,
  completion,
  source,
  length: prompt.length + completion.length,
  key: [prompt.length, ...prompt, ...completion],
  ...(isSampled && { isSampled }),
});

/** A decoder-only language model: points are the tokens of answers, or of texts. */
export function decoderOnly(
  model: CausalLm,
  { task, maxLength, name }: { task?: Task; maxLength: number; name: string },
): KdModel<TextExample, RowsLayout> {
  const { tokenizer, config } = model;
  if (!tokenizer) throw new ConfigError(`${name} has no tokenizer, so texts can't be read.`);
  const longest = { maxLength: Math.min(maxLength, config.maxPositions) };
  const textOf = (item: TaskItem) => taskText(task!, item, "decoder-only");
  const parameters = trainableParameters(model);
  return {
    kind: "decoder-only",
    tokenizer,
    maxPositions: config.maxPositions,
    parameters,
    isRegression: false,
    description: `${name}: ${config.modelType}, ${config.layers} layers of ${config.hiddenSize}, ${countParameters(model.parameters)} parameters`,
    examples: (items) =>
      items.flatMap(perAnswer).map((item) => {
        const { prompt, completion } = textOf(item);
        if (completion === undefined) throw new DataError(`${item.source}: a training item needs a label.`);
        const ids = tokeniseCandidates(prompt, [completion], tokenizer, longest);
        return exampleOf(ids.prompt, ids.candidates[0]!, item.source);
      }),
    textExamples: (texts) =>
      texts.map(({ prompt, completion, source }) => exampleOf(prompt, completion, source)),
    layout(examples) {
      const rows = tokenRows(
        examples.map(({ prompt, completion }) => ({
          prompt: prompt as number[],
          completions: [completion as number[]],
        })),
      );
      const { target, sequence } = rows.scored;
      const tokens = rows.rows * rows.length;
      return { rows, labels: target, sequence, examples: examples.length, tokens };
    },
    logits: ({ rows }) => logits(model, rows),
    predict: (items) =>
      task!.kind === "regression"
        ? writeScores(model, items, textOf, longest)
        : rankCandidates(model, items, textOf, longest),
    answerVocabulary: (items) => [
      ...new Set(
        items.flatMap((item) => {
          const { prompt, candidates = [] } = textOf(item);
          return tokeniseCandidates(prompt, candidates, tokenizer, longest).candidates.flat();
        }),
      ),
    ],
    async sample(examples, { seed, maxTokens }) {
      const { ids } = await generate(model, {
        prompts: examples.map(({ prompt }) => prompt as number[]),
        maxTokens,
        temperature: 1,
        seed,
      });
      return examples.map(({ prompt, source }, i) => exampleOf(prompt, ids[i]!, source, true));
    },
    fingerprint: () => modelFingerprint(model),
    withDropout: (options, f) => withDropout(model, options, f),
    save: (folder, dtype) => saveWithAdapter(model, saveCausalLm, folder, { dtype }),
    dispose: () => disposeModel(model),
  };
}

type TextOf = (item: TaskItem) => ReturnType<typeof taskText>;

/** Every candidate's probability among an item's candidates, from the log-probability of its whole text. */
async function rankCandidates(
  model: CausalLm,
  items: readonly TaskItem[],
  textOf: TextOf,
  longest: { maxLength: number },
): Promise<Prediction[]> {
  const asked = items.flatMap((item, at) => {
    const { prompt, candidates } = textOf(item);
    const ids = tokeniseCandidates(prompt, candidates!, model.tokenizer!, longest);
    return ids.candidates.map((candidate, choice) => ({ at, choice, prompt: ids.prompt, candidate }));
  });
  const scores: number[][] = items.map(() => []);
  const lengthOf = ({ prompt, candidate }: (typeof asked)[number]) => prompt.length + candidate.length;
  for (const group of microBatches(asked, lengthOf, predictionTokens)) {
    const rows = tokenRows(group.map(({ prompt, candidate }) => ({ prompt, completions: [candidate] })));
    const found = tf.tidy(() => sequenceLogProbs(model, rows));
    const values = found.dataSync();
    found.dispose();
    group.forEach(({ at, choice }, i) => {
      scores[at]![choice] = values[i]!;
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
  return scores.map((logProbs) => ({ probabilities: softmaxOf(logProbs) }));
}

/** The score that the model writes at temperature 0; a text that states none counts as 0. */
async function writeScores(
  model: CausalLm,
  items: readonly TaskItem[],
  textOf: TextOf,
  longest: { maxLength: number },
): Promise<Prediction[]> {
  const predictions: Prediction[] = [];
  for (let from = 0; from < items.length; from += 32) {
    const prompts = items
      .slice(from, from + 32)
      .map((item) => tokeniseCandidates(textOf(item).prompt, ["0"], model.tokenizer!, longest).prompt);
    const { ids } = await generate(model, { prompts, maxTokens: 8, temperature: 0 });
    for (const written of ids) {
      const score = scoreOfText(model.tokenizer!.decode(written, { skipSpecial: true }));
      predictions.push({ probabilities: [], score: Number.isNaN(score) ? 0 : score });
    }
  }
  return predictions;
}
