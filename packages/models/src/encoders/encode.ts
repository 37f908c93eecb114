import {
  add,
  attention,
  dropoutAttention,
  embedding,
  gatherRows,
  layerNorm,
  reshape,
} from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionMask, dropped, rateOf } from "../dropout.ts";
import { parameter, project } from "../projection.ts";
import { throughLayer } from "../through-layer.ts";
import type { Encoder } from "./encoder.ts";
import type { EncoderBatch } from "./encoder-batch.ts";
import { longestInput } from "./encoder-config.ts";
import { encoderFamilyOf } from "./encoder-families.ts";

/**
 * The attention layout of rows whose every query sees the row's first `lengths[row]` keys: each query counts as standing in a branch
 * that begins behind all keys, so that it sees the prefix and nothing else.
 *
 * @param keys how many keys a row has, padding included
 * @returns int32 [rows, 3]
 */
export function bidirectionalLayout(lengths: Int32Array, keys: number): tf.Tensor2D {
  const layout = new Int32Array(3 * lengths.length);
  for (const [row, length] of lengths.entries()) layout.set([keys, length, keys], 3 * row);
  return tf.tensor2d(layout, [lengths.length, 3], "int32");
}

function checkBatch({ config }: Encoder, { rows, length, ids, types, lengths }: EncoderBatch): void {
  const size = rows * length;
  if (ids.length !== size || types.length !== size || lengths.length !== rows)
    throw new Error(
      `an encoder batch of ${rows} × ${length} needs ${size} ids and types and ${rows} lengths; ` +
        `got ${ids.length}, ${types.length} and ${lengths.length}.`,
    );
  const limit = longestInput(config);
  if (length > limit)
    throw new Error(
      `an input of ${length} tokens does not fit the encoder's ${limit} positions; truncate it.`,
    );
  lengths.forEach((each, row) => {
    if (!(each >= 1 && each <= length))
      throw new Error(`an encoder batch's row ${row} has ${each} tokens, expected 1 to ${length}.`);
  });
}

/** The sum of word, position and type embeddings, normalised, [rows·length, hidden]. */
function embedTokens(model: Encoder, { rows, length, ids, types }: EncoderBatch): tf.Tensor {
  const { config } = model;
  const { names } = encoderFamilyOf(config.modelType);
  const look = (module: string, index: Int32Array) =>
    embedding(parameter(model, `${module}.weight`), tf.tensor1d(index, "int32"));
  const positions = Int32Array.from({ length: rows * length }, (_, i) => config.firstPosition + (i % length));
  let x = add(look(names.words, ids), look(names.positions, positions));
  // A table of one row, as RoBERTa's, has nothing to tell two texts apart by.
  if (config.tokenTypes > 0)
    x = add(x, look(names.types, config.tokenTypes > 1 ? types : new Int32Array(rows * length)));
  const rate = rateOf(model, config.dropout.hidden);
  return dropped(model, `${names.prefix}embeddings.dropout`, norm(model, names.embeddingNorm, x), rate);
}

const norm = (model: Encoder, module: string, x: tf.Tensor): tf.Tensor =>
  layerNorm(
    x,
    parameter(model, `${module}.weight`),
    parameter(model, `${module}.bias`),
    model.config.normEpsilon,
  );

/** What those tokens of a layer whose states are y read of all, x; both [rows·tokens, hiddenSize]. */
function attend(model: Encoder, at: string, y: tf.Tensor, x: tf.Tensor, layout: tf.Tensor): tf.Tensor {
  const { heads, hiddenSize, dropout } = model.config;
  const { names } = encoderFamilyOf(model.config.modelType);
  const rows = layout.shape[0]!;
  const byRow = (module: string, read: tf.Tensor) =>
    reshape(project(model, at + module, read, false), [rows, read.shape[0]! / rows, hiddenSize]);
  const [q, k, v] = [byRow(names.query, y), byRow(names.key, x), byRow(names.value, x)];
  const options = { heads, kvHeads: heads };
  const rate = rateOf(model, dropout.attention);
  if (rate === 0) return reshape(attention(q, k, v, layout, options), [-1, hiddenSize]);
  const mask = attentionMask(model, `${at}attention.dropout`, [rows, heads, q.shape[1]!, k.shape[1]!], rate);
  return reshape(dropoutAttention({ q, k, v, layout, mask }, options), [-1, hiddenSize]);
}

/** One layer of the encoder, for all tokens or each row's first: attention and feed-forward, each added to its input and then normalised. */
function encoderLayer(
  model: Encoder,
  at: string,
  all: tf.Tensor,
  layout: tf.Tensor,
  firstAlone: boolean,
): tf.Tensor {
  const { activation, dropout, modelType } = model.config;
  const { names, dropsAttended } = encoderFamilyOf(modelType);
  const rate = rateOf(model, dropout.hidden);
  const added = (module: string, y: tf.Tensor, drops: boolean) =>
    dropped(model, `${at + module}.dropout`, project(model, at + module, y, false), drops ? rate : 0);
  const x = firstAlone ? firstOf(all, layout.shape[0]!) : all;
  const attended = added(names.output, attend(model, at, x, all, layout), dropsAttended);
  const middle = norm(model, at + names.attentionNorm, add(x, attended));
  const wide = project(model, at + names.up, middle, false, activation);
  return norm(model, at + names.outputNorm, add(middle, added(names.down, wide, true)));
}

/**
 * The last hidden state of every token, padding included (whose states mean nothing), differentiable.
 *
 * @returns [rows, length, hiddenSize]
 * @throws when the batch does not fit the model's positions, vocabulary or token types.
 */
export function encode(model: Encoder, batch: EncoderBatch): tf.Tensor3D {
  return throughLayers(model, batch, false);
}

/**
 * The last hidden state of each row's first token, which is all that most heads read: `encode`'s, without what the last layer would
 * compute for the others.
 *
 * @returns [rows, 1, hiddenSize]
 * @throws as `encode`
 */
export function encodeFirst(model: Encoder, batch: EncoderBatch): tf.Tensor3D {
  return throughLayers(model, batch, true);
}

function throughLayers(model: Encoder, batch: EncoderBatch, firstAlone: boolean): tf.Tensor3D {
  checkBatch(model, batch);
  const { names } = encoderFamilyOf(model.config.modelType);
  const { rows, length, lengths } = batch;
  return tf.tidy(() => {
    const layout = bidirectionalLayout(lengths, length);
    let x = embedTokens(model, batch);
    const { layers, hiddenSize } = model.config;
    for (let layer = 0; layer < layers; layer++) {
      const at = names.layer(layer);
      const wanted = firstAlone && layer === layers - 1;
      x = throughLayer(model, at, x, { layout }, (y, given) =>
        encoderLayer(model, at, y, given.layout, wanted),
      );
    }
    return reshape(x, [rows, firstAlone ? 1 : length, hiddenSize]) as tf.Tensor3D;
  });
}

/** Each row's first state of [rows·length, size]. */
function firstOf(states: tf.Tensor, rows: number): tf.Tensor2D {
  const length = states.shape[0]! / rows;
  const first = Int32Array.from({ length: rows }, (_, row) => row * length);
  return gatherRows(states, tf.tensor1d(first, "int32")) as tf.Tensor2D;
}

/** The first token's state of every row, [rows, hiddenSize]. */
export function firstStates(hidden: tf.Tensor3D): tf.Tensor2D {
  const [rows, length, size] = hidden.shape;
  return firstOf(reshape(hidden, [rows * length, size]), rows);
}
