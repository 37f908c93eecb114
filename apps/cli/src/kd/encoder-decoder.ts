import { DataError, perAnswer, scoreOfText, type Task, type TaskItem, taskText } from "@fdiv/data";
import {
  disposeModel,
  generateSeq2Seq,
  seq2seqLogProbs,
  type T5,
  type T5Batch,
  t5Batch,
  t5Input,
  t5Logits,
  trainableParameters,
  withDropout,
} from "@fdiv/models";
import { saveT5 } from "@fdiv/models/node";
import { countParameters } from "@fdiv/tensor-core";
import { microBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import { saveWithAdapter } from "../runs/adapter.ts";
import { modelFingerprint } from "../runs/reference.ts";
import type { Example, KdModel, Layout, Prediction } from "./kd-model.ts";
import { softmaxOf } from "./softmax.ts";

interface Seq2SeqExample extends Example {
  input: readonly number[];
  output: readonly number[];
}

interface Seq2SeqLayout extends Layout {
  batch: T5Batch;
}

/** Padded tokens that predictions are computed of at a time. */
const predictionTokens = 4096;

const exampleOf = (
  input: readonly number[],
  output: readonly number[],
  source: string,
  isSampled = false,
): Seq2SeqExample => ({
  input,
  output,
  source,
  length: input.length + output.length,
  key: [input.length, ...input, ...output],
  ...(isSampled && { isSampled }),
});

/** An encoder-decoder: points are the tokens of answers. */
export function encoderDecoder(
  model: T5,
  { task, maxLength, name }: { task: Task; maxLength: number; name: string },
): KdModel<Seq2SeqExample, Seq2SeqLayout> {
  const { tokenizer, config } = model;
  if (!tokenizer) throw new ConfigError(`${name} has no tokenizer, so texts can't be read.`);
  const textOf = (item: TaskItem) => taskText(task, item, "encoder-decoder");
  const inputOf = (item: TaskItem): number[] => t5Input(model, textOf(item).prompt, maxLength);
  const outputOf = (text: string): number[] => [...tokenizer.encode(text), config.eosIds[0]!];
  return {
    kind: "encoder-decoder",
    tokenizer,
    maxPositions: maxLength,
    parameters: trainableParameters(model),
    isRegression: false,
    description: `${name}: ${config.modelType}, ${config.layers} + ${config.decoderLayers} layers of ${config.hiddenSize}, ${countParameters(model.parameters)} parameters`,
    examples: (items) =>
      items.flatMap(perAnswer).map((item) => {
        const { completion } = textOf(item);
        if (completion === undefined) throw new DataError(`${item.source}: a training item needs a label.`);
        return exampleOf(inputOf(item), outputOf(completion), item.source);
      }),
    layout(examples) {
      const batch = t5Batch(
        examples.map(({ input, output }) => ({ input: input as number[], outputs: [output as number[]] })),
        config,
      );
      const { target, sequence } = batch.scored;
      const tokens = batch.inputs.rows * batch.inputs.length + batch.outputs.rows * batch.outputs.length;
      return { batch, labels: target, sequence, examples: examples.length, tokens };
    },
    logits: ({ batch }) => t5Logits(model, batch),
    predict: (items) =>
      task.kind === "regression"
        ? writeScores(model, items.map(inputOf))
        : rankCandidates(
            model,
            items.map((item) => ({ input: inputOf(item), outputs: textOf(item).candidates!.map(outputOf) })),
          ),
    answerVocabulary: (items) => [
      ...new Set(items.flatMap((item) => (textOf(item).candidates ?? []).flatMap(outputOf))),
    ],
    async sample(examples, { seed, maxTokens }) {
      const { ids } = await generateSeq2Seq(model, {
        inputs: examples.map(({ input }) => input as number[]),
        maxTokens,
        temperature: 1,
        seed,
      });
      return examples.map(({ input, source }, i) => exampleOf(input, ids[i]!, source, true));
    },
    fingerprint: () => modelFingerprint(model),
    withDropout: (options, f) => withDropout(model, options, f),
    save: (folder, dtype) => saveWithAdapter(model, saveT5, folder, { dtype }),
    dispose: () => disposeModel(model),
  };
}

interface Asked {
  input: number[];
  outputs: number[][];
}

/** Every answer's probability among an item's answers, from the log-probability of its whole text; an input is read once. */
async function rankCandidates(model: T5, asked: readonly Asked[]): Promise<Prediction[]> {
  const predictions = new Array<Prediction>(asked.length);
  const lengthOf = (i: number) => {
    const { input, outputs } = asked[i]!;
    return outputs.length * (input.length + Math.max(...outputs.map(({ length }) => length)));
  };
  for (const group of microBatches([...asked.keys()], lengthOf, predictionTokens)) {
    const batch = t5Batch(
      group.map((i) => asked[i]!),
      model.config,
    );
    const found = tf.tidy(() => seq2seqLogProbs(model, batch));
    const values = [...found.dataSync()];
    found.dispose();
    let at = 0;
    for (const i of group) {
      const count = asked[i]!.outputs.length;
      predictions[i] = { probabilities: softmaxOf(values.slice(at, at + count)) };
      at += count;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return predictions;
}

/** The score that the model writes at temperature 0; a text that states none counts as 0. */
async function writeScores(model: T5, inputs: readonly number[][]): Promise<Prediction[]> {
  const predictions: Prediction[] = [];
  for (let from = 0; from < inputs.length; from += 32) {
    const { ids } = await generateSeq2Seq(model, {
      inputs: inputs.slice(from, from + 32),
      maxTokens: 8,
      temperature: 0,
    });
    for (const written of ids) {
      const score = scoreOfText(model.tokenizer!.decode(written, { skipSpecial: true }));
      predictions.push({ probabilities: [], score: Number.isNaN(score) ? 0 : score });
    }
  }
  return predictions;
}
