import { overTokens } from "@fdiv/sinkhorn-kd";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { KdConfig } from "./kd-schema.ts";
import { type LossTerm, lossTerm, type Signals } from "./loss-terms.ts";
import { weightsOf } from "./loss-weights.ts";

/** The terms of a configuration's loss, without those of weight 0. @throws ConfigError on what can't be */
export function kdTerms(config: KdConfig): LossTerm[] {
  const terms = Object.entries(weightsOf(config))
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => {
      try {
        return lossTerm(name, weight, config);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw new ConfigError(
          `loss: ${error.message} Beside divergences there are ce, mse, sinkhorn, sample-wise, uld, multi-level, gjs:β, gjs-scaled:β, skew-kl:α and skew-reverse-kl:α.`,
        );
      }
    });
  if (terms.length === 0) throw new ConfigError("loss: every weight is 0.");
  if (!config.teacher && terms.some(({ needsTeacher }) => needsTeacher))
    throw new ConfigError(
      `loss: ${terms.find(({ needsTeacher }) => needsTeacher)!.name} needs a teacher; give teacher.model, or loss: ce to fine-tune alone.`,
    );
  if (config.teacher && !terms.some(({ needsTeacher }) => needsTeacher) && config.onPolicy > 0)
    throw new ConfigError(
      "onPolicy: answers of the student's own teach nothing without a term of the teacher.",
    );
  const ofTheBatch = terms.find(({ isOfTheBatch }) => isOfTheBatch);
  if (ofTheBatch && config.microBatchTokens !== undefined)
    throw new ConfigError(
      `microBatchTokens: transport over a batch (sinkhorn.formulation: ${config.sinkhorn.formulation}) would become one over its micro-batches, another loss; ` +
        "leave it out, or take formulation: sequence.",
    );
  return terms;
}

/** Signals whose logits are over some tokens alone. */
function overAnswers(signals: Signals, ids: readonly number[]): Signals {
  const { student, teacher, answerVocabulary: _, ...rest } = signals;
  return {
    ...rest,
    student: overTokens(student, ids),
    ...(teacher && { teacher: overTokens(teacher, ids) }),
  };
}

export interface KdLossOptions {
  /** The tokens that teacher and student are compared over; labels are learnt over all. */
  answers?: readonly number[] | undefined;
  /** What sums are divided by in the end; the points when absent. */
  counted?: number;
}

/**
 * Σ weight × term, each a sum over the points, and each term's own sum by name; of transport as `name/row-error` how much of their mass the
 * plans' rows are off, a share once it is divided by what is counted.
 */
export function kdLoss(
  terms: readonly LossTerm[],
  signals: Signals,
  { answers, counted = signals.labels.length }: KdLossOptions = {},
): { loss: tf.Scalar; metrics: Record<string, tf.Tensor> } {
  const compared = answers && signals.teacher ? overAnswers(signals, answers) : signals;
  const sums = terms.map((term) => term.sums(term.needsTeacher ? compared : signals));
  const weighted = sums.map(({ loss }, i) => tf.mul(terms[i]!.weight, loss));
  return {
    loss: tf.addN(weighted) as tf.Scalar,
    metrics: Object.fromEntries(
      terms.flatMap(({ name }, i) => {
        const { loss, rowError } = sums[i]!;
        // Each point has mass 1.
        const off = rowError && tf.mul(rowError, counted / signals.labels.length);
        return [[`terms/${name}`, loss] as const, ...(off ? [[`${name}/row-error`, off] as const] : [])];
      }),
    ),
  };
}
