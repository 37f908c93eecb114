import { drawsTokens, drawTokens, type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { checkLaw, type Draw, notFinite, type SamplingLaw, sampleToken } from "./sampling.ts";
import { type StopOptions, type Stoppable, stopDetector } from "./stop.ts";

export interface DecodingOptions extends Partial<SamplingLaw>, StopOptions {
  /** At most this many new tokens a row. */
  maxTokens: number;
  /** At least this many before a stop id may be sampled; 0 by default. */
  minTokens?: number;
  /** The draw of row i's token t depends on (seed, i, t) alone; 0 by default. */
  seed?: number | string;
  /** The index that the first row's draws count from, so that a batch cut in pieces draws alike; 0 by default. */
  firstRow?: number;
  signal?: AbortSignal;
  onToken?(token: GeneratedToken): void;
}

export interface GeneratedToken extends Draw {
  /** Index of the prompt or input. */
  row: number;
  /** How many of the row's tokens came before. */
  index: number;
  /** Why the row ends here, if it does. */
  finished?: Finish;
}

/** Ended by a stop id or string, or by `maxTokens`. */
export type Finish = "stop" | "length";

export interface Generated {
  /** New tokens by row, the stop id included. */
  ids: number[][];
  /** ln probability of each under the law sampled from. */
  logProbs: Float32Array[];
  /** ln probability of each under the model itself: temperature 1, nothing cut off. */
  policyLogProbs: Float32Array[];
  finished: Finish[];
}

/** A model that reads tokens row by row behind those it has read, and says what comes next. */
export interface RowDecoder {
  /** The logits after each row's last token [rows, vocabulary]; `offsets` counts the tokens that each row has had. */
  read(tokens: ArrayLike<number>[], offsets: number[]): tf.Tensor2D;
  /** Goes on with these of its rows alone. */
  keep(rows: number[]): void;
  dispose(): void;
}

/** One row's state; `length` counts the tokens that the decoder has read. */
interface Sequence {
  row: number;
  length: number;
  produced: number;
  last: number;
  draws: Random;
  done: boolean;
  stops(id: number): boolean;
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
 * Draws tokens behind each row's first ones and yields those of a step as they are drawn; rows that have ended are dropped from the
 * batch once they are half of it. The decoder is freed at the end.
 *
 * @param starts what each row reads before its first draw
 * @throws when an option can't be
 */
export async function* drawRows(
  model: Stoppable,
  starts: ArrayLike<number>[],
  decoderOf: () => RowDecoder,
  options: DecodingOptions,
): AsyncGenerator<GeneratedToken[], void, undefined> {
  const { temperature = 1, topK = 0, topP = 1, minTokens = 0, maxTokens } = options;
  const law: SamplingLaw = { temperature, topK, topP };
  checkLaw(law);
  if (starts.length === 0) return;
  const { stopIds, detector } = stopDetector(model, options);
  const base = random(options.seed ?? 0).fork("generate");
  let batch: Sequence[] = starts.map((start, row) => ({
    row,
    length: 0,
    produced: 0,
    last: 0,
    draws: base.fork((options.firstRow ?? 0) + row),
    done: false,
    stops: detector(start),
  }));
  const decoder = decoderOf();
  let tokens = starts;
  try {
    while (batch.some(({ done }) => !done)) {
      options.signal?.throwIfAborted();
      const logits = decoder.read(
        tokens,
        batch.map(({ length }) => length),
      );
      const draw = await drawer(logits, law, batch, minTokens > 0);
      const drawnNow: GeneratedToken[] = [];
      for (let i = 0; i < batch.length; i++) {
        const sequence = batch[i]!;
        if (sequence.done) continue;
        sequence.length += tokens[i]!.length;
        const drawn = draw(i, sequence.produced < minTokens ? stopIds : []);
        const index = sequence.produced++;
        sequence.last = drawn.id;
        const stopped = sequence.stops(drawn.id) && sequence.produced >= minTokens;
        sequence.done = stopped || sequence.produced === maxTokens;
        drawnNow.push({
          ...drawn,
          row: sequence.row,
          index,
          ...(sequence.done && { finished: stopped ? ("stop" as const) : ("length" as const) }),
        });
      }
      yield drawnNow;
      const active = batch.flatMap(({ done }, i) => (done ? [] : [i]));
      if (active.length > 0 && active.length <= batch.length / 2) {
        decoder.keep(active);
        batch = active.map((i) => batch[i]!);
      }
      tokens = batch.map(({ last }) => [last]);
    }
  } finally {
    decoder.dispose();
  }
}

/** The tokens of a run of `drawRows`, one by one. */
export async function* tokenByToken(
  steps: AsyncIterable<GeneratedToken[]>,
): AsyncGenerator<GeneratedToken, void, undefined> {
  for await (const tokens of steps) yield* tokens;
}

/** All tokens of a run of `drawRows`, by row. */
export async function collectRows(
  rows: number,
  steps: AsyncIterable<GeneratedToken[]>,
  onToken?: (token: GeneratedToken) => void,
): Promise<Generated> {
  const drawn = Array.from({ length: rows }, (): GeneratedToken[] => []);
  for await (const tokens of steps)
    for (const token of tokens) {
      drawn[token.row]!.push(token);
      onToken?.(token);
    }
  return {
    ids: drawn.map((row) => row.map(({ id }) => id)),
    logProbs: drawn.map((row) => Float32Array.from(row, ({ logProb }) => logProb)),
    policyLogProbs: drawn.map((row) => Float32Array.from(row, ({ policyLogProb }) => policyLogProb)),
    finished: drawn.map((row) => row.at(-1)!.finished!),
  };
}
