import { drawsTokens, drawTokens, gatherRows, linear, type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { decoderOf, decodesWhole, decodeToken } from "./decode.ts";
import { familyOf } from "./families.ts";
import type { KeyValueCache } from "./family.ts";
import { compactCache, createCache, disposeCache } from "./key-value-cache.ts";
import { checkLaw, type Draw, notFinite, type SamplingLaw, sampleToken } from "./sampling.ts";
import { headWeight } from "./scoring.ts";
import { type StopOptions, stopDetector } from "./stop.ts";
import { noBranch } from "./token-rows.ts";

export interface GenerateOptions extends Partial<SamplingLaw>, StopOptions {
  /** Token ids, BOS included where the model wants one; lengths may differ. */
  prompts: ArrayLike<number>[];
  /** At most this many new tokens a prompt. */
  maxTokens: number;
  /** At least this many before a stop id may be sampled; 0 by default. */
  minTokens?: number;
  /** The draw of row i's token t depends on (seed, i, t) alone; 0 by default. */
  seed?: number | string;
  /** The index that the first prompt's draws count from, so that a batch cut in pieces draws alike; 0 by default. */
  firstRow?: number;
  signal?: AbortSignal;
  onToken?(token: GeneratedToken): void;
}

export interface GeneratedToken extends Draw {
  /** Index of the prompt. */
  row: number;
  /** How many of the row's tokens came before. */
  index: number;
  /** Why the row ends here, if it does. */
  finished?: Finish;
}

/** Ended by a stop id or string, or by `maxTokens`. */
export type Finish = "stop" | "length";

export interface Generated {
  /** New tokens by prompt, the stop id included. */
  ids: number[][];
  /** ln probability of each under the law sampled from. */
  logProbs: Float32Array[];
  /** ln probability of each under the model itself: temperature 1, nothing cut off. */
  policyLogProbs: Float32Array[];
  finished: Finish[];
}

/** One prompt's state; `length` counts the tokens that the cache holds. */
interface Sequence {
  row: number;
  length: number;
  produced: number;
  last: number;
  draws: Random;
  done: boolean;
  stops(id: number): boolean;
}

function checkPrompts(model: CausalLm, { prompts, maxTokens }: GenerateOptions): void {
  const { maxPositions } = model.config;
  if (!Number.isInteger(maxTokens) || maxTokens < 1)
    throw new RangeError(`maxTokens must be a whole number of at least 1, got ${maxTokens}`);
  for (let row = 0; row < prompts.length; row++) {
    const { length } = prompts[row]!;
    if (length === 0)
      throw new Error(`prompt ${row} has no token; give it at least the beginning-of-sequence token.`);
    if (length + maxTokens > maxPositions)
      throw new Error(
        `prompt ${row} has ${length} tokens and ${maxTokens} more are asked, but the model's context holds ` +
          `${maxPositions}; shorten the prompt or set maxTokens to at most ${Math.max(0, maxPositions - length)}.`,
      );
  }
}

/** The logits after each row's last token [rows, vocabulary]; the new tokens' keys and values go to the cache. */
function forward(
  model: CausalLm,
  cache: KeyValueCache,
  tokens: ArrayLike<number>[],
  offsets: number[],
  reach: number,
): tf.Tensor2D {
  const rows = tokens.length;
  const length = Math.max(...tokens.map((row) => row.length));
  const ids = new Int32Array(rows * length);
  const positions = new Int32Array(rows * length);
  const layout = new Int32Array(rows * 3);
  const ends = new Int32Array(rows);
  tokens.forEach((row, i) => {
    const offset = offsets[i]!;
    for (let t = 0; t < row.length; t++) {
      ids[i * length + t] = row[t]!;
      positions[i * length + t] = offset + t;
    }
    layout.set([offset, offset + row.length, noBranch], 3 * i);
    ends[i] = i * length + row.length - 1;
  });
  if (length === 1 && !cache.empty && decodesWhole(model))
    return decodeToken(decoderOf(model, cache, reach), ids, positions, layout);
  return tf.tidy(() => {
    const hidden = familyOf(model.config.modelType).hidden(model, {
      ids: tf.tensor2d(ids, [rows, length], "int32"),
      positions: tf.tensor2d(positions, [rows, length], "int32"),
      layout: tf.tensor2d(layout, [rows, 3], "int32"),
      reach,
      cache,
    });
    cache.empty = false;
    const last = length === 1 ? hidden : gatherRows(hidden, tf.tensor1d(ends, "int32"));
    return linear(last, headWeight(model)) as tf.Tensor2D;
  });
}

/** How row i's token is drawn from the logits, which are freed: where they lie if the backend can and the law is a plain one. */
async function drawer(
  logits: tf.Tensor2D,
  law: SamplingLaw,
  batch: readonly Sequence[],
  forbids: boolean,
): Promise<(row: number, forbidden: readonly number[]) => Draw> {
  const { temperature, topK, topP } = law;
  const uniform = ({ done, draws }: Sequence) => (done || temperature === 0 ? 0 : draws.next());
  const [, vocabulary] = logits.shape;
  const isPlain = topK === 0 && topP === 1 && !forbids && vocabulary <= 2 ** 24;
  if (!isPlain || !drawsTokens()) {
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    return (row, forbidden) =>
      sampleToken(
        values.subarray(row * vocabulary, (row + 1) * vocabulary),
        law,
        uniform(batch[row]!),
        forbidden,
      );
  }
  const draws = drawTokens(logits, Float64Array.from(batch, uniform), { temperature });
  const values = await draws.data();
  tf.dispose([logits, draws]);
  return (row) => {
    const [id, logProb, policyLogProb] = values.subarray(3 * row, 3 * row + 3);
    if (!Number.isFinite(policyLogProb!)) throw new Error(notFinite);
    return { id: id!, logProb: logProb!, policyLogProb: policyLogProb! };
  };
}

/**
 * Samples continuations and yields each token as it is drawn.
 *
 * Prompts are read in one forward pass, the head on their last tokens only; later steps read one token a row through
 * the cache, and rows that have ended are dropped from the batch once they are half of it.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export async function* streamTokens(
  model: CausalLm,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { temperature = 1, topK = 0, topP = 1, minTokens = 0, maxTokens, prompts } = options;
  const law: SamplingLaw = { temperature, topK, topP };
  checkLaw(law);
  checkPrompts(model, options);
  if (prompts.length === 0) return;
  const { stopIds, detector } = stopDetector(model, options);
  const base = random(options.seed ?? 0).fork("generate");
  let batch: Sequence[] = prompts.map((prompt, row) => ({
    row,
    length: 0,
    produced: 0,
    last: 0,
    draws: base.fork((options.firstRow ?? 0) + row),
    done: false,
    stops: detector(prompt),
  }));
  const capacity = Math.max(...prompts.map(({ length }) => length)) + maxTokens - 1;
  let cache = createCache(model.config, batch.length, capacity);
  let tokens: ArrayLike<number>[] = prompts;
  try {
    while (batch.some(({ done }) => !done)) {
      options.signal?.throwIfAborted();
      const offsets = batch.map(({ length }) => length);
      const logits = forward(model, cache, tokens, offsets, capacity);
      const draw = await drawer(logits, law, batch, minTokens > 0);
      for (let i = 0; i < batch.length; i++) {
        const sequence = batch[i]!;
        if (sequence.done) continue;
        sequence.length += tokens[i]!.length;
        const drawn = draw(i, sequence.produced < minTokens ? stopIds : []);
        const index = sequence.produced++;
        sequence.last = drawn.id;
        const stopped = sequence.stops(drawn.id) && sequence.produced >= minTokens;
        sequence.done = stopped || sequence.produced === maxTokens;
        yield {
          ...drawn,
          row: sequence.row,
          index,
          ...(sequence.done && { finished: stopped ? ("stop" as const) : ("length" as const) }),
        };
      }
      const active = batch.flatMap(({ done }, i) => (done ? [] : [i]));
      if (active.length > 0 && active.length <= batch.length / 2) {
        cache = compactCache(cache, active);
        batch = active.map((i) => batch[i]!);
      }
      tokens = batch.map(({ last }) => [last]);
    }
  } finally {
    disposeCache(cache);
  }
}

/**
 * Samples a continuation of every prompt.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export async function generate(model: CausalLm, options: GenerateOptions): Promise<Generated> {
  const rows = options.prompts.map((): GeneratedToken[] => []);
  for await (const token of streamTokens(model, options)) {
    rows[token.row]!.push(token);
    options.onToken?.(token);
  }
  return {
    ids: rows.map((row) => row.map(({ id }) => id)),
    logProbs: rows.map((row) => Float32Array.from(row, ({ logProb }) => logProb)),
    policyLogProbs: rows.map((row) => Float32Array.from(row, ({ policyLogProb }) => policyLogProb)),
    finished: rows.map((row) => row.at(-1)!.finished!),
  };
}
