/** One record of a data file, with where it came from for messages. */
export interface Row {
  fields: Record<string, unknown>;
  /** `file:line`, or `file, row n`. */
  source: string;
}

/** Data that can't be used; the message says file, line and field. */
export class DataError extends Error {
  override name = "DataError";
}

/** What becomes of rows that can't be read; a data set of real life has some. */
export interface RowFaults {
  /** Default stop. */
  onError?: "stop" | "skip";
  /** Hears of each row skipped. */
  onSkip?: (error: DataError) => void;
}

/** Each row by `read`; one that throws `DataError` is skipped where that is asked. */
export function readEach<T>(
  rows: readonly Row[],
  read: (row: Row) => T,
  { onError = "stop", onSkip }: RowFaults,
): T[] {
  const all = rows.flatMap((row) => {
    try {
      return [read(row)];
    } catch (error) {
      if (onError === "stop" || !(error instanceof DataError)) throw error;
      onSkip?.(error);
      return [];
    }
  });
  if (all.length === 0) throw new DataError(`none of ${rows.length} rows could be read.`);
  return all;
}

/** A chat message. */
export interface Message {
  role: string;
  content: string;
}

/** A prompt with a better and a worse completion: texts, or messages for a chat template. */
export type Preference =
  | { prompt: string; chosen: string; rejected: string; source: string }
  | { prompt: Message[]; chosen: Message[]; rejected: Message[]; source: string };

/** A text to be trained on; only the completion is scored. */
export type Demonstration =
  | { prompt: string; completion: string; source: string }
  | { prompt: Message[]; completion: Message[]; source: string };

/** `"name" is missing; the row has …`, and what else can be wrong with a field. */
export function textField(row: Row, name: string): string {
  const value = row.fields[name];
  if (typeof value === "string") return value;
  const found = Object.keys(row.fields).slice(0, 12).join(", ");
  throw new DataError(
    value === undefined
      ? `${row.source}: field "${name}" is missing; the row has ${found || "no fields"}.`
      : `${row.source}: field "${name}" is ${Array.isArray(value) ? "a list" : typeof value}, expected a text.`,
  );
}

/** Whether a value is a list of messages. */
export function isMessages(value: unknown): value is Message[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (message) =>
        message !== null &&
        typeof message === "object" &&
        typeof (message as Message).role === "string" &&
        typeof (message as Message).content === "string",
    )
  );
}
