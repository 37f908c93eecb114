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

/**
 * Σ weight × term, each a sum over the points, and each term's own sum by name.
 *
 * @param answers the tokens that teacher and student are compared over; labels are learnt over all
 */
export function kdLoss(
  terms: readonly LossTerm[],
  signals: Signals,
  answers?: readonly number[],
): { loss: tf.Scalar; metrics: Record<string, tf.Tensor> } {
  const compared = answers && signals.teacher ? overAnswers(signals, answers) : signals;
  const sums = terms.map((term) => term.sum(term.needsTeacher ? compared : signals));
  const weighted = sums.map((sum, i) => tf.mul(terms[i]!.weight, sum));
  return {
    loss: tf.addN(weighted) as tf.Scalar,
    metrics: Object.fromEntries(terms.map(({ name }, i) => [`terms/${name}`, sums[i]!])),
  };
}
