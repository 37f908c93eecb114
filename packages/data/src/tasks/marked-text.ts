import { DataError, type Row } from "../row.ts";
import { string } from "./fields.ts";

const words = (text: string, count: number): string | undefined =>
  new RegExp(`^(?:\\S+\\s){${count}}`).exec(text)?.[0];

/** A span as its text writes it, where the file has another case, a stop or a line break in it. */
function asWritten(span: string, text: string, index: number): string {
  if (text.includes(span) || span === "") return span;
  const first = text.split(/\s+/)[index]?.[0] ?? "";
  const isLower = first === first.toLowerCase() && first !== first.toUpperCase();
  const cased = isLower ? span[0]!.toLowerCase() : span[0]!.toUpperCase();
  return `${cased}${span.slice(1)}`.replace(/\.+$/, "").replaceAll("\n", " ");
}

/** The text with marks around a span that begins at its index-th word; as it was where the span isn't there. */
function marked(text: string, span: string, index: number, mark: string): string {
  const before = words(text, index);
  if (before === undefined || !text.startsWith(span, before.length)) return text;
  return `${before}${mark} ${span} ${mark}${text.slice(before.length + span.length)}`;
}

const mostWords = 10_000;

function indexOf(row: Row, target: Record<string, unknown>, name: string): number {
  const index = Number(target[name]);
  if (Number.isInteger(index) && index >= 0 && index < mostWords) return index;
  throw new DataError(`${row.source}: "${name}" is ${String(target[name])}, expected the place of a word.`);
}

/** WSC's text as T5's prompts have it: the noun between `*`, the pronoun between `#`. @throws DataError on a missing field */
export function markedText(row: Row, target: Record<string, unknown>): string {
  const text = string(row, row.fields.text, "text");
  const [nounAt, pronounAt] = [indexOf(row, target, "span1_index"), indexOf(row, target, "span2_index")];
  const noun = asWritten(string(row, target.span1_text, "span1_text"), text, nounAt);
  const pronoun = asWritten(string(row, target.span2_text, "span2_text"), text, pronounAt);
  // The noun's two marks count as words of what follows.
  return marked(marked(text, noun, nounAt, "*"), pronoun, pronounAt + (nounAt < pronounAt ? 2 : 0), "#");
}
