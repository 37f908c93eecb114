import {
  DataError,
  isMessages,
  type Message,
  type Preference,
  type Row,
  type RowFaults,
  readEach,
  textField,
} from "./row.ts";
import { isTranscript, splitTranscripts } from "./transcript.ts";

export interface FormatOptions extends RowFaults {
  /** `auto` looks at the first row; `preference` is TRL's, `anthropic` transcripts. */
  format?: "auto" | "preference" | "anthropic";
  /** Renames fields: { prompt: "question" } reads the prompt from `question`. */
  columns?: Readonly<Record<string, string>>;
}

/** What rows turned out to be, for the report. */
export type PreferenceFormat =
  | "Anthropic transcripts"
  | "explicit prompt, text"
  | "explicit prompt, messages"
  | "implicit prompt, text"
  | "implicit prompt, messages";

/** Fields by the names that the formats use. */
export function renamed(row: Row, columns: Readonly<Record<string, string>> = {}): Row {
  const entries = Object.entries(columns);
  if (entries.length === 0) return row;
  const fields = { ...row.fields };
  for (const [name, column] of entries) {
    if (!Object.hasOwn(row.fields, column))
      throw new DataError(
        `${row.source}: columns.${name} names the field "${column}", which the row lacks; it has ${Object.keys(row.fields).join(", ")}.`,
      );
    fields[name] = row.fields[column];
  }
  return { ...row, fields };
}

function formatOf(row: Row, asked: FormatOptions["format"]): PreferenceFormat {
  const { prompt, chosen, rejected } = row.fields;
  for (const [name, value] of Object.entries({ chosen, rejected }))
    if (typeof value !== "string" && !isMessages(value)) {
      const found = Object.keys(row.fields).slice(0, 12).join(", ");
      const hint =
        "completion" in row.fields
          ? ' Rows of single completions with a label are not pairs; "dpo" needs both.'
          : "";
      throw new DataError(
        `${row.source}: field "${name}" is ${value === undefined ? "missing" : "neither a text nor a list of messages"}; ` +
          `the row has ${found}. Rename fields with data.columns.${hint}`,
      );
    }
  const transcripts = typeof chosen === "string" && isTranscript(chosen);
  if (asked === "anthropic" && !transcripts)
    throw new DataError(
      `${row.source}: "chosen" is no transcript; it has no "\\n\\nHuman:" and "\\n\\nAssistant:" turns.`,
    );
  if (prompt === undefined && transcripts && asked !== "preference") return "Anthropic transcripts";
  const shape = isMessages(chosen) ? "messages" : "text";
  return `${prompt === undefined ? "implicit" : "explicit"} prompt, ${shape}`;
}

const sameMessage = (a: Message | undefined, b: Message | undefined): boolean =>
  a !== undefined && a.role === b?.role && a.content === b?.content;

function read(row: Row, format: PreferenceFormat): Preference {
  const { prompt, chosen, rejected } = row.fields;
  const { source } = row;
  if (format === "Anthropic transcripts")
    return { ...splitTranscripts(textField(row, "chosen"), textField(row, "rejected"), source), source };
  if (isMessages(chosen)) {
    if (!isMessages(rejected))
      throw new DataError(`${source}: "chosen" is a list of messages and "rejected" is not.`);
    if (prompt !== undefined) {
      const messages = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
      if (!isMessages(messages)) throw new DataError(`${source}: field "prompt" is no list of messages.`);
      return {
        prompt: messages,
        chosen: withoutPrompt(chosen, messages),
        rejected: withoutPrompt(rejected, messages),
        source,
      };
    }
    let shared = 0;
    while (sameMessage(chosen[shared], rejected[shared])) shared++;
    // The last message of a side is its answer, even when both sides agree on it.
    shared = Math.min(shared, chosen.length - 1, rejected.length - 1);
    if (shared === 0)
      throw new DataError(
        `${source}: "chosen" and "rejected" share no first message, so there is no prompt.`,
      );
    return {
      prompt: chosen.slice(0, shared),
      chosen: chosen.slice(shared),
      rejected: rejected.slice(shared),
      source,
    };
  }
  const better = textField(row, "chosen");
  const worse = textField(row, "rejected");
  if (prompt !== undefined)
    return { prompt: textField(row, "prompt"), chosen: better, rejected: worse, source };
  return { ...commonPrefix(better, worse, source), source };
}

/** Some data repeats the prompt's messages at the head of each side. */
function withoutPrompt(side: Message[], prompt: readonly Message[]): Message[] {
  const repeats = side.length > prompt.length && prompt.every((message, i) => sameMessage(message, side[i]));
  return repeats ? side.slice(prompt.length) : side;
}

/** The prompt that two texts share, ended at a space, so that no word is cut. */
function commonPrefix(chosen: string, rejected: string, source: string) {
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && chosen[shared] === rejected[shared]) shared++;
  if (shared < Math.max(chosen.length, rejected.length)) {
    const space = chosen.slice(0, shared).search(/\s\S*$/);
    shared = Math.max(space, 0);
  }
  if (shared === 0)
    throw new DataError(`${source}: "chosen" and "rejected" share no beginning, so there is no prompt.`);
  return { prompt: chosen.slice(0, shared), chosen: chosen.slice(shared), rejected: rejected.slice(shared) };
}

/**
 * Rows as preferences: TRL's formats (prompt explicit or shared, plain or messages) and Anthropic's transcripts; and which were found.
 *
 * @throws DataError naming file, line and field
 */
export function preferencesOf(
  rows: readonly Row[],
  options: FormatOptions = {},
): { preferences: Preference[]; format: string } {
  if (rows.length === 0) throw new DataError("there are no rows.");
  const formats = new Set<PreferenceFormat>();
  const preferences = readEach(
    rows,
    (row) => {
      const named = renamed(row, options.columns);
      // Every row is looked at, so that a stray one names itself.
      const own = formatOf(named, options.format);
      const preference = read(named, own);
      formats.add(own);
      return preference;
    },
    options,
  );
  return { preferences, format: [...formats].join("; ") };
}
