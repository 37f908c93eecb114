/**
 * The share of groups whose predictions are all right: SuperGLUE's exact match of MultiRC, where a group is a question with its answers.
 *
 * @throws RangeError on lengths
 */
export function groupExactMatch(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: readonly string[],
): number {
  if (predictions.length !== labels.length || groups.length !== labels.length || labels.length === 0)
    throw new RangeError(
      `groupExactMatch: ${predictions.length} predictions and ${groups.length} groups for ${labels.length} labels.`,
    );
  const right = new Map<string, boolean>();
  groups.forEach((group, i) => {
    right.set(group, (right.get(group) ?? true) && predictions[i] === labels[i]);
  });
  return [...right.values()].filter(Boolean).length / right.size;
}

/** As answers are compared: lower case, without ASCII punctuation, articles and spaces beyond one. */
const plain = (text: string): string[] =>
  text
    .toLowerCase()
    .replaceAll(/[!-/:-@[-`{-~]/g, "")
    .replaceAll(/\b(a|an|the)\b/g, " ")
    .split(/\s+/)
    .filter(Boolean);

function overlap(predicted: readonly string[], answer: readonly string[]): number {
  const left = new Map<string, number>();
  for (const word of answer) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  return common === 0 ? 0 : (2 * common) / (predicted.length + answer.length);
}

/** The F1 of a text's words with the best of the right answers (SQuAD, arXiv 1606.05250; ReCoRD). */
export function answerF1(predicted: string, answers: readonly string[]): number {
  return Math.max(0, ...answers.map((answer) => overlap(plain(predicted), plain(answer))));
}

/** Whether a text is one of the right answers, but for case, punctuation, articles and spaces. */
export function answerExactMatch(predicted: string, answers: readonly string[]): boolean {
  const words = plain(predicted).join(" ");
  return answers.some((answer) => plain(answer).join(" ") === words);
}
