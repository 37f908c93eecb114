import type { Task, TaskItem } from "./task.ts";

/** Who answers: an encoder-decoder writes the answer alone, a decoder goes on after a cue. */
export type TextForm = "encoder-decoder" | "decoder-only";

/** A question as text, with every answer that can be given and the one to be learnt. */
export interface TaskText {
  prompt: string;
  /** Texts to choose among, by class or choice; absent for regression, which is a number to be written. */
  candidates?: readonly string[];
  /** The right answer's text; absent where the file tells none. */
  completion?: string;
}

/** Scores as text, in steps of .2 as T5 writes STS-B (arXiv 1910.10683). */
const scoreText = (score: number): string => (Math.round(score * 5) / 5).toFixed(1);

const spaced = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

/**
 * A question in text-to-text form (arXiv 1910.10683, appendix D): the task's name, then each text after its name; for a decoder
 * `answer:` follows, and the answer begins with a space.
 */
export function taskText(task: Task, item: TaskItem, form: TextForm): TaskText {
  const isDecoder = form === "decoder-only";
  const question = [task.name, ...item.fields.map(([name, text]) => `${name}: ${spaced(text)}`)].join(" ");
  const asAnswer = (text: string): string => (isDecoder ? ` ${text}` : text);
  const names = task.labels.length > 0 ? task.labels : item.choices;
  const right =
    item.label === undefined
      ? undefined
      : task.kind === "regression"
        ? scoreText(item.label)
        : names![item.label]!;
  return {
    prompt: isDecoder ? `${question} answer:` : question,
    ...(names && { candidates: names.map(asAnswer) }),
    ...(right !== undefined && { completion: asAnswer(right) }),
  };
}

/** The score that a text of a regression states; NaN where it states none. */
export function scoreOfText(text: string): number {
  const written = text.trim();
  return /^-?\d+(\.\d+)?$/.test(written) ? Number(written) : Number.NaN;
}
