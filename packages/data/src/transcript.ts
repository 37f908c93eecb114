import { DataError, type Message } from "./row.ts";

const turn = /(?:^|\n\n)(Human|Assistant): ?/g;
const lastTurn = "\n\nAssistant:";

/** Whether a text is a transcript as Anthropic's hh-rlhf has them. */
export function isTranscript(text: string): boolean {
  return /^\s*Human:/.test(text) && text.includes(lastTurn);
}

/**
 * Splits two transcripts after the last "\n\nAssistant:" that both share: the prompt up to and including it, and the two answers.
 *
 * @throws DataError when they share no such turn
 */
export function splitTranscripts(
  chosen: string,
  rejected: string,
  source: string,
): { prompt: string; chosen: string; rejected: string } {
  let shared = 0;
  const shorter = Math.min(chosen.length, rejected.length);
  while (shared < shorter && chosen[shared] === rejected[shared]) shared++;
  const at = chosen.slice(0, shared).lastIndexOf(lastTurn);
  if (at < 0)
    throw new DataError(
      `${source}: "chosen" and "rejected" share no turn of the assistant, so there is no common prompt.`,
    );
  const cut = at + lastTurn.length;
  return { prompt: chosen.slice(0, cut), chosen: chosen.slice(cut), rejected: rejected.slice(cut) };
}

/** A transcript as messages; text before the first turn is dropped. */
export function transcriptMessages(text: string): Message[] {
  const turns = [...text.matchAll(turn)];
  return turns
    .map((match, i) => ({
      role: match[1] === "Human" ? "user" : "assistant",
      content: text.slice(match.index + match[0].length, turns[i + 1]?.index ?? text.length).trim(),
    }))
    .filter(({ content }, i) => content !== "" || i < turns.length - 1);
}
