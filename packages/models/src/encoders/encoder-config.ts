import type { Activation } from "../config.ts";
import { checkCount, checkId, checkShare, checkSizes } from "../config-check.ts";

/** What a head on top of an encoder says: one class of several, any of several, or numbers. */
export type EncoderTask = "classification" | "multiLabel" | "regression";

export interface EncoderHead {
  task: EncoderTask;
  /** Names of the outputs, one each. */
  labels: string[];
}

/** Shares of what is dropped in training. */
export interface EncoderDropout {
  /** Of the embeddings, and of what attention and feed-forward add. */
  hidden: number;
  /** Of attention's weights. */
  attention: number;
  /** Of what a head reads. */
  classifier: number;
}

/** A bidirectional encoder's architecture, under one set of names for every family. */
export interface EncoderConfig {
  /** Hugging Face's `model_type`: a key of `encoderFamilies`. */
  modelType: string;
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Rows of the table of positions. */
  positions: number;
  /** The row of a text's first token: 0, or one beyond the padding's id in RoBERTa. */
  firstPosition: number;
  /** Rows of the table of token types; 0 is none. */
  tokenTypes: number;
  normEpsilon: number;
  activation: Activation;
  /** Whether there is a pooler, tanh(W·first + b). */
  pooler: boolean;
  /** Shares that `withDropout` drops. */
  dropout: EncoderDropout;
  /** Standard deviation of a random initialisation. */
  initializerRange: number;
  padId: number;
  head?: EncoderHead;
  /** The `config.json` this came from, kept so that saving loses nothing; empty for a model made here. */
  huggingFace: Record<string, unknown>;
}

/** What `encoderConfig` must be told; the rest has the family's usual value. */
export type EncoderOptions = Partial<EncoderConfig> &
  Pick<EncoderConfig, "modelType" | "vocabularySize" | "hiddenSize" | "layers" | "heads">;

const positiveSizes = [
  "vocabularySize",
  "hiddenSize",
  "intermediateSize",
  "layers",
  "heads",
  "positions",
] as const;

/** @throws Error where a head has no output, or far more than any task has. */
export function checkHead({ labels }: EncoderHead): void {
  if (labels.length < 1 || labels.length > 65536)
    throw new RangeError(`an encoder's head needs 1 to 65536 labels, got ${labels.length}`);
  if (new Set(labels).size !== labels.length)
    throw new Error(`an encoder's labels must differ from each other: ${labels.join(", ")}`);
}

function check(config: EncoderConfig): EncoderConfig {
  const what = "encoder config";
  checkSizes(what, config, positiveSizes);
  if (config.hiddenSize % config.heads !== 0)
    throw new RangeError(
      `${what}: hiddenSize (${config.hiddenSize}) must be a multiple of heads (${config.heads})`,
    );
  const { firstPosition, positions, tokenTypes, normEpsilon, padId } = config;
  if (!Number.isInteger(firstPosition) || firstPosition < 0 || firstPosition >= positions)
    throw new RangeError(
      `${what}: firstPosition must be below positions (${positions}), got ${firstPosition}`,
    );
  checkCount(what, "tokenTypes", tokenTypes);
  checkShare(what, "normEpsilon", normEpsilon);
  checkId(what, "padId", padId, config.vocabularySize);
  for (const [name, rate] of Object.entries(config.dropout)) checkShare(what, `dropout.${name}`, rate);
  if (config.head) checkHead(config.head);
  return config;
}

/** Whether a type numbers its positions from beyond the padding's id, as RoBERTa does. */
const isRoberta = (modelType: string) => modelType === "roberta" || modelType === "xlm-roberta";

/**
 * Completes and checks a config, with the values usual for BERT, RoBERTa (`roberta`, `xlm-roberta`) or DistilBERT where nothing is
 * said.
 *
 * @throws RangeError naming the field that can't be.
 */
export function encoderConfig(options: EncoderOptions): EncoderConfig {
  const roberta = isRoberta(options.modelType);
  const padId = options.padId ?? (roberta ? 1 : 0);
  const defaults = {
    intermediateSize: 4 * options.hiddenSize,
    positions: roberta ? 512 + padId + 1 : 512,
    firstPosition: roberta ? padId + 1 : 0,
    tokenTypes: options.modelType === "distilbert" ? 0 : roberta ? 1 : 2,
    normEpsilon: roberta ? 1e-5 : 1e-12,
    activation: "gelu" as const,
    pooler: options.modelType === "bert",
    dropout: { hidden: 0.1, attention: 0.1, classifier: options.modelType === "distilbert" ? 0.2 : 0.1 },
    initializerRange: 0.02,
    padId,
    huggingFace: {},
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return check({ ...defaults, ...(given as EncoderOptions) });
}

/** How many tokens a text may have, special ones included. */
export const longestInput = ({ positions, firstPosition }: EncoderConfig): number =>
  positions - firstPosition;
