import { boundedCache } from "./bounded-cache.ts";

/** A number that an outcome has in its context, φ(x, c); for a whole batch at once. */
export interface Feature<X, C = unknown> {
  readonly name: string;
  /** [outcomes], finite numbers. */
  values(outcomes: readonly X[], contexts: readonly C[]): Promise<Float64Array>;
}

type Value = number | boolean;

/** One outcome's value; true counts 1 and false 0. */
export type FeatureFunction<X, C = unknown> = (outcome: X, context: C) => Value | Promise<Value>;

/** A feature, or the plain function that it is made of. */
export type FeatureLike<X, C = unknown> = Feature<X, C> | FeatureFunction<X, C>;

export interface FeatureOptions {
  /** In errors and metrics; default the function's name. */
  name?: string;
  /** Values kept by content, the least recently used forgotten first; default 10 000, 0 for none. */
  cache?: number;
  /** What identifies an outcome in its context; default their JSON. */
  key?: (outcome: unknown, context: unknown) => string;
}

/** A scorer failed or gave a value that it may not give. */
export class ScoreError extends Error {
  override name = "ScoreError";
}

const plain = (_key: string, value: unknown): unknown =>
  ArrayBuffer.isView(value) ? Array.from(value as Uint8Array) : value;

const contentKey = (outcome: unknown, context: unknown): string => JSON.stringify([outcome, context], plain);

/** The beginning of an outcome, for messages. */
export function excerpt(outcome: unknown): string {
  const text = typeof outcome === "string" ? outcome : (JSON.stringify(outcome, plain) ?? String(outcome));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function checked(name: string, value: unknown, outcome: unknown): number {
  const number = typeof value === "boolean" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  throw new ScoreError(
    `${name} gave ${String(value)} for "${excerpt(outcome)}"; expected a finite number or a boolean.`,
  );
}

function failed(name: string, outcome: unknown, cause: unknown): ScoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ScoreError(`${name} failed on "${excerpt(outcome)}": ${reason}`, { cause });
}

/**
 * A feature from a function of many outcomes at once, as a classifier is; equal ones are asked about once and remembered.
 *
 * @param options.batchSize how many outcomes a call gets at most; default 64
 * @throws ScoreError, from `values`, when the function throws or gives something else than one finite number or boolean an outcome
 */
export function batchedFeature<X, C = unknown>(
  f: (
    outcomes: readonly X[],
    contexts: readonly C[],
  ) => ArrayLike<number | boolean> | Promise<ArrayLike<number | boolean>>,
  options: FeatureOptions & { batchSize?: number } = {},
): Feature<X, C> {
  const { name = f.name || "feature", cache = 10_000, key = contentKey, batchSize = 64 } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new RangeError(`${name}: batchSize is ${batchSize}, expected a whole number of at least 1.`);
  const known = boundedCache<number>(cache);

  async function ask(outcomes: readonly X[], contexts: readonly C[]): Promise<number[]> {
    let values: ArrayLike<number | boolean>;
    try {
      values = await f(outcomes, contexts);
    } catch (cause) {
      throw cause instanceof ScoreError ? cause : failed(name, outcomes[0], cause);
    }
    if (values?.length !== outcomes.length)
      throw new ScoreError(`${name} gave ${values?.length} values for ${outcomes.length} outcomes.`);
    return outcomes.map((outcome, i) => checked(name, values[i], outcome));
  }

  return {
    name,
    async values(outcomes, contexts) {
      const found = new Float64Array(outcomes.length);
      const missing = new Map<string, number[]>();
      outcomes.forEach((outcome, i) => {
        const content = cache > 0 ? key(outcome, contexts[i]) : String(i);
        const value = known.get(content);
        if (value !== undefined) found[i] = value;
        else if (missing.has(content)) missing.get(content)!.push(i);
        else missing.set(content, [i]);
      });
      const waiting = [...missing];
      for (let from = 0; from < waiting.length; from += batchSize) {
        const part = waiting.slice(from, from + batchSize);
        const first = part.map(([, places]) => places[0]!);
        const values = await ask(
          first.map((i) => outcomes[i]!),
          first.map((i) => contexts[i]!),
        );
        part.forEach(([content, places], k) => {
          known.set(content, values[k]!);
          for (const i of places) found[i] = values[k]!;
        });
      }
      return found;
    },
  };
}

/**
 * A feature from a function of one outcome, possibly asynchronous; equal outcomes are asked about once and remembered.
 *
 * @throws ScoreError, from `values`, when the function throws or gives something else than a finite number or a boolean
 */
export function feature<X, C = unknown>(
  f: FeatureFunction<X, C>,
  options: FeatureOptions & { concurrency?: number } = {},
): Feature<X, C> {
  const { concurrency = 64, ...others } = options;
  const name = options.name ?? (f.name || "feature");
  const one = async (outcome: X, context: C): Promise<Value> => {
    try {
      return await f(outcome, context);
    } catch (cause) {
      throw cause instanceof ScoreError ? cause : failed(name, outcome, cause);
    }
  };
  return batchedFeature<X, C>(
    (outcomes, contexts) => Promise.all(outcomes.map((outcome, i) => one(outcome, contexts[i]!))),
    { ...others, name, batchSize: concurrency },
  );
}

/** Makes a feature of what may be a plain function. */
export const asFeature = <X, C>(like: FeatureLike<X, C>): Feature<X, C> =>
  typeof like === "function" ? feature(like) : like;
