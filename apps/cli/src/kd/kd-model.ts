import type { TaskItem, TokenText } from "@fdiv/data";
import type { DropoutOptions, Tokenizer } from "@fdiv/models";
import type { WeightType } from "@fdiv/models/node";
import type * as tf from "@tensorflow/tfjs-core";

/** One example as token ids; what a family adds is its own. */
export interface Example {
  /** Tokens, for padding and micro-batches. */
  length: number;
  source: string;
  /** Everything its logits depend on, for the teacher's cache. */
  key: readonly number[];
  /** An answer that the student wrote: there is no label in it. */
  isSampled?: boolean;
}

/** Examples laid out, and what is known of the points at which both models give distributions: answer tokens, or whole examples. */
export interface Layout {
  /** Of each point: the right class or token; of a regression the score. */
  labels: Float32Array | Int32Array;
  /** Which example a point belongs to, in order. */
  sequence: Int32Array;
  examples: number;
  /** Padded tokens, what computing costs. */
  tokens: number;
}

/** What a model says of an item. */
export interface Prediction {
  /** Probabilities of the classes or choices; empty for a regression. */
  probabilities: number[];
  /** The score of a regression. */
  score?: number;
}

/** A model of any family as distillation uses it. */
export interface KdModel<E extends Example = Example, L extends Layout = Layout> {
  kind: "decoder-only" | "encoder" | "encoder-decoder";
  tokenizer: Tokenizer;
  maxPositions: number;
  /** What may be trained. */
  parameters: ReadonlyMap<string, tf.Variable>;
  /** One line that says how large it is. */
  description: string;
  /** Whether its logits are one number, a score. */
  isRegression: boolean;
  /** Labelled items as examples to learn from. @throws DataError on an item without a label */
  examples(items: readonly TaskItem[]): E[];
  /** Texts as examples; absent where a family has no text to predict. */
  textExamples?(texts: readonly TokenText[]): E[];
  layout(examples: readonly E[]): L;
  /** Logits at the points [points, V], differentiable. */
  logits(layout: L): tf.Tensor2D;
  /** What f computes with the dropout of training, the batch's rows named. */
  withDropout<T>(options: DropoutOptions, f: () => T): T;
  predict(items: readonly TaskItem[]): Promise<Prediction[]>;
  /** Token ids that answers are made of, for a transport over them alone. */
  answerVocabulary?(items: readonly TaskItem[]): number[];
  /** Examples with answers of the model's own, drawn at temperature 1. */
  sample?(examples: readonly E[], options: { seed: string; maxTokens: number }): Promise<E[]>;
  fingerprint(): Promise<string>;
  /** Writes `model`, and where there is an adapter `adapter`, into a run's folder. */
  save(folder: (name: string) => string, dtype: WeightType): Promise<void>;
  dispose(): void;
}
