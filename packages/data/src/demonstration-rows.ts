import { type FormatOptions, renamed } from "./preference-rows.ts";
import { DataError, type Demonstration, isMessages, type Row, readEach, textField } from "./row.ts";
import { isTranscript, transcriptMessages } from "./transcript.ts";

function read(row: Row): Demonstration {
  const { text, prompt, completion, messages, chosen } = row.fields;
  const { source } = row;
  if (isMessages(messages)) {
    const last = messages.findLastIndex(({ role }) => role !== "assistant") + 1;
    if (last === 0 || last === messages.length)
      throw new DataError(`${source}: "messages" must hold a question and end with the assistant's answer.`);
    return { prompt: messages.slice(0, last), completion: messages.slice(last), source };
  }
  if (typeof text === "string") return { prompt: "", completion: text, source };
  if (isMessages(prompt) && isMessages(completion)) return { prompt, completion, source };
  if (prompt !== undefined || completion !== undefined)
    return { prompt: textField(row, "prompt"), completion: textField(row, "completion"), source };
  if (typeof chosen === "string" && isTranscript(chosen)) {
    const turns = transcriptMessages(chosen);
    return { prompt: turns.slice(0, -1), completion: turns.slice(-1), source };
  }
  const found = Object.keys(row.fields).slice(0, 12).join(", ");
  throw new DataError(
    `${source}: none of "text", "prompt" with "completion", or "messages"; the row has ${found}. Rename fields with data.columns.`,
  );
}

/**
 * Rows as demonstrations for supervised fine-tuning: {text}, {prompt, completion}, {messages}, or the chosen side of transcripts.
 *
 * @throws DataError naming file, line and field
 */
export function demonstrationsOf(
  rows: readonly Row[],
  options: Omit<FormatOptions, "format"> = {},
): Demonstration[] {
  if (rows.length === 0) throw new DataError("there are no rows.");
  return readEach(rows, (row) => read(renamed(row, options.columns)), options);
}
