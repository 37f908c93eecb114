import { DataError, type Task, type TaskItem } from "@fdiv/data";
import {
  classify,
  classifyTexts,
  disposeModel,
  type Encoder,
  type EncoderBatch,
  type EncoderItem,
  type EncoderText,
  encoderBatch,
  encoderItem,
  trainableParameters,
  withDropout,
} from "@fdiv/models";
import { saveEncoder } from "@fdiv/models/node";
import { countParameters } from "@fdiv/tensor-core";
import { ConfigError } from "../config/config-file.ts";
import { saveWithAdapter } from "../runs/adapter.ts";
import { modelFingerprint } from "../runs/reference.ts";
import type { Example, KdModel, Layout, Prediction } from "./kd-model.ts";

interface EncodedExample extends Example {
  input: EncoderItem;
  label: number;
}

interface EncodedLayout extends Layout {
  batch: EncoderBatch;
}

/** What a head for a task says: its classes, a score, or of a choice whether a candidate is right. */
export function headLabels({ kind, labels }: Task): {
  task: "classification" | "regression";
  labels: string[];
} {
  if (kind === "regression") return { task: "regression", labels: ["score"] };
  return { task: "classification", labels: kind === "choice" ? ["wrong", "right"] : [...labels] };
}

/** Whether a candidate is one of the right ones. */
const isRight = ({ choices, answers, label }: TaskItem, choice: number): boolean =>
  answers ? answers.includes(choices![choice]!) : choice === label;

/** An encoder with a head: points are whole examples; of a choice, its candidates. */
export function encoderClassifier(
  model: Encoder,
  { task, maxLength, name }: { task: Task; maxLength: number; name: string },
): KdModel<EncodedExample, EncodedLayout> {
  const { tokenizer, config } = model;
  if (!tokenizer) throw new ConfigError(`${name} has no tokenizer, so texts can't be read.`);
  const wanted = headLabels(task).labels;
  if (!config.head)
    throw new ConfigError(`${name} has no head for ${task.name}; fine-tune it first (teacher.fineTune).`);
  if (config.head.labels.length !== wanted.length)
    throw new ConfigError(
      `${name} tells ${config.head.labels.length} labels apart (${config.head.labels.slice(0, 5).join(", ")}), and ${task.name} has ${wanted.length}.`,
    );
  const isChoice = task.kind === "choice";
  const textsOf = (item: TaskItem): EncoderText[] =>
    (isChoice ? item.choices!.map((_, choice) => task.sentences(item, choice)) : [task.sentences(item)]).map(
      (sentences) => (sentences.length === 1 ? sentences[0] : sentences),
    );
  const longest = Math.min(maxLength, config.positions - config.firstPosition);
  return {
    kind: "encoder",
    tokenizer,
    maxPositions: longest,
    parameters: trainableParameters(model),
    isRegression: task.kind === "regression",
    description: `${name}: ${config.modelType}, ${config.layers} layers of ${config.hiddenSize}, ${countParameters(model.parameters)} parameters`,
    examples: (items) =>
      items.flatMap((item) => {
        if (item.label === undefined) throw new DataError(`${item.source}: a training item needs a label.`);
        return textsOf(item).map((text, choice) => {
          const input = encoderItem(model, text, longest);
          const label = isChoice ? Number(isRight(item, choice)) : item.label!;
          return {
            input,
            label,
            source: item.source,
            length: input.ids.length,
            key: [...input.ids, -1, ...input.types],
          };
        });
      }),
    layout(examples) {
      const batch = encoderBatch(
        examples.map(({ input }) => input),
        config.padId,
      );
      const labels = examples.map(({ label }) => label);
      return {
        batch,
        labels: task.kind === "regression" ? Float32Array.from(labels) : Int32Array.from(labels),
        sequence: Int32Array.from(examples.keys()),
        examples: examples.length,
        tokens: batch.rows * batch.length,
      };
    },
    logits: ({ batch }) => classify(model, batch),
    async predict(items) {
      const texts = items.map(textsOf);
      const said = await classifyTexts(model, texts.flat(), { maxLength: longest });
      let at = 0;
      return texts.map((own): Prediction => {
        const rows = said.slice(at, at + own.length);
        at += own.length;
        if (task.kind === "regression") return { probabilities: [], score: rows[0]![0]! };
        if (!isChoice) return { probabilities: [...rows[0]!] };
        const right = rows.map((row) => row[1]!);
        const sum = right.reduce((total, value) => total + value, 0);
        return { probabilities: right.map((value) => (sum > 0 ? value / sum : 1 / own.length)) };
      });
    },
    fingerprint: () => modelFingerprint(model),
    withDropout: (options, f) => withDropout(model, options, f),
    save: (folder, dtype) => saveWithAdapter(model, saveEncoder, folder, { dtype }),
    dispose: () => disposeModel(model),
  };
}
