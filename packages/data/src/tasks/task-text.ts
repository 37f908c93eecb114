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

/** The nearest whole number, of two the even one, as TensorFlow rounds. */
function roundToEven(x: number): number {
  const below = Math.floor(x);
  const above = x - below;
  if (above === 0.5) return below % 2 === 0 ? below : below + 1;
  return above < 0.5 ? below : below + 1;
}

/** Scores as text, in steps of .2 as T5 writes STS-B; in single precision, since that decides where two steps are as near. */
const scoreText = (score: number): string =>
  (roundToEven(Math.fround(Math.fround(score) * 5)) / 5).toFixed(1);

const spaced = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1);

/**
 * A question in T5's text-to-text form (arXiv 1910.10683): the task's name, then each text after its name, sorted by name but where T5 has an
 * order of its own (MultiRC, ReCoRD, WiC); whitespace is collapsed, as T5's tokeniser does. WSC and WNLI are in the form that is answered by
 * their labels, WSC with the noun between `*` and the pronoun between `#`; T5's released models learnt to write WSC's noun instead. For a
 * decoder `answer:` follows, and the answer begins with a space.
 */
export function taskText(task: Task, item: TaskItem, form: TextForm): TaskText {
  const isDecoder = form === "decoder-only";
  const fields = task.prompted?.(item) ?? [...item.fields].sort(byName);
  const texts = fields.map(([name, text]) => `${name}: ${spaced(text)}`);
  const question = [task.promptName ?? task.name, ...texts].join(" ");
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
