import type { Task, TaskItem, TaskMetric } from "@fdiv/data";
import {
  accuracy,
  answerExactMatch,
  answerF1,
  bootstrapInterval,
  f1Score,
  groupExactMatch,
  type Interval,
  macroF1,
  matthewsCorrelation,
  pearsonCorrelation,
  spearmanCorrelation,
} from "@fdiv/metrics";
import type { Prediction } from "./kd-model.ts";

export interface Judged {
  item: TaskItem;
  prediction: Prediction;
}

/** The class or choice that is most probable. */
export const chosen = ({ probabilities }: Prediction): number =>
  probabilities.reduce((best, value, i) => (value > probabilities[best]! ? i : best), 0);

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const classes = (judged: readonly Judged[]) => judged.map(({ prediction }) => chosen(prediction));
const labels = (judged: readonly Judged[]) => judged.map(({ item }) => item.label!);
const scores = (judged: readonly Judged[]) => judged.map(({ prediction }) => prediction.score!);
const ofText = (
  judged: readonly Judged[],
  score: (text: string, answers: readonly string[]) => number,
): number =>
  mean(judged.map(({ item, prediction }) => score(item.choices![chosen(prediction)]!, item.answers!)));

const metrics: Record<TaskMetric, (judged: readonly Judged[]) => number> = {
  accuracy: (judged) => accuracy(classes(judged), labels(judged)),
  f1: (judged) => f1Score(classes(judged), labels(judged)),
  "answer-f1": (judged) => f1Score(classes(judged), labels(judged)),
  "macro-f1": (judged) => macroF1(classes(judged), labels(judged)),
  matthews: (judged) => matthewsCorrelation(classes(judged), labels(judged)),
  pearson: (judged) => pearsonCorrelation(scores(judged), labels(judged)),
  spearman: (judged) => spearmanCorrelation(scores(judged), labels(judged)),
  "exact-match": (judged) =>
    groupExactMatch(
      classes(judged),
      labels(judged),
      judged.map(({ item }) => item.group ?? item.id),
    ),
  "text-f1": (judged) => ofText(judged, answerF1),
  "text-exact-match": (judged) => ofText(judged, (text, answers) => Number(answerExactMatch(text, answers))),
};

/** A task's official figures of labelled items; one that is not defined, of constant scores, is 0. */
export function taskMetrics(task: Task, judged: readonly Judged[]): Record<string, number> {
  return Object.fromEntries(
    task.metrics.map((name) => {
      const value = metrics[name](judged);
      return [name, Number.isFinite(value) ? value : 0];
    }),
  );
}

/** The same with bootstrap intervals over items; what is judged together is drawn together. */
export function taskIntervals(task: Task, judged: readonly Judged[], seed: number): Record<string, Interval> {
  const groups = new Map<string, Judged[]>();
  for (const one of judged) {
    const key = one.item.group ?? `${one.item.id}/${groups.size}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return Object.fromEntries(
    task.metrics.map((name) => [
      name,
      bootstrapInterval(
        [...groups.values()],
        (drawn) => taskMetrics({ ...task, metrics: [name] }, drawn.flat())[name]!,
        { seed, resamples: 500 },
      ),
    ]),
  );
}

/** How near two models' answers to the same items are. */
export interface Nearness {
  /** Share of items with the same answer. */
  agreement: number;
  /** Means over items of divergences between the distributions over answers. */
  totalVariation: number;
  forwardKl: number;
  reverseKl: number;
}

/** Nearness of student to teacher; undefined for scores. */
export function nearness(
  student: readonly Prediction[],
  teacher: readonly Prediction[],
): Nearness | undefined {
  if (student.some(({ probabilities }) => probabilities.length === 0)) return undefined;
  // A probability that rounds to 0 would make one item's KL infinite and the mean useless.
  const least = 1e-12;
  const kl = (p: readonly number[], q: readonly number[]): number =>
    p.reduce((sum, value, i) => sum + value * Math.log(Math.max(value, least) / Math.max(q[i]!, least)), 0);
  const over = (measure: (s: readonly number[], t: readonly number[]) => number): number =>
    mean(student.map(({ probabilities }, i) => measure(probabilities, teacher[i]!.probabilities)));
  return {
    agreement: mean(student.map((one, i) => Number(chosen(one) === chosen(teacher[i]!)))),
    totalVariation: over((s, t) => s.reduce((sum, value, i) => sum + Math.abs(value - t[i]!), 0) / 2),
    forwardKl: over((s, t) => kl(t, s)),
    reverseKl: over((s, t) => kl(s, t)),
  };
}
