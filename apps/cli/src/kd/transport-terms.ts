import {
  multiLevelDistillation,
  type SinkhornOptions,
  sampleWiseSinkhorn,
  sinkhornKd,
} from "@fdiv/sinkhorn-kd";
import * as tf from "@tensorflow/tfjs-core";
import { sinkhornDefaults } from "./ignored-keys.ts";
import { inSequences } from "./in-sequences.ts";
import type { KdConfig } from "./kd-schema.ts";
import type { Compute, Transported } from "./loss-terms.ts";

/** When iterations stop: after T, or at a tolerance. */
export const stoppingOf = ({ sinkhorn: { iterations, tolerance } }: Pick<KdConfig, "sinkhorn">) =>
  tolerance === undefined ? { iterations: iterations ?? sinkhornDefaults.iterations } : { tolerance };

/** Options that every transport takes, of a solver that differentiates its iterations unless another gradient is written. */
const solverOf = ({ sinkhorn }: KdConfig) => {
  const { tolerance, iterations } = {
    tolerance: undefined,
    iterations: undefined,
    ...stoppingOf({ sinkhorn }),
  };
  return {
    lambda: sinkhorn.lambda,
    ...(iterations !== undefined && { iterations }),
    transport: {
      ...(tolerance !== undefined && { tolerance }),
      gradient: sinkhorn.gradient ?? sinkhornDefaults.gradient,
    } as Partial<SinkhornOptions>,
  };
};

const fitted = ({ loss, rowError }: { loss: tf.Tensor; rowError: tf.Tensor }): Transported => ({
  losses: loss,
  rowError,
});

/** Transport between points; unit marginals, so that each point has mass 1. */
export const transported: Compute<Transported> = (signals, config) => {
  const { cost, debiased, formulation } = config.sinkhorn;
  const options = { cost, debiased, temperature: config.temperature, ...solverOf(config) };
  const { student, teacher, sequence, examples, answerVocabulary } = signals;
  if (formulation === "sequence") {
    const both = [student, teacher!].map((logits) => inSequences(logits, sequence, examples));
    const pair = { student: both[0]!.padded, teacher: both[1]!.padded };
    return fitted(sinkhornKd(pair, { ...options, formulation: { kind: "sequence" }, mask: both[0]!.mask }));
  }
  const pair = { student, teacher: teacher! };
  if (formulation === "batch") return fitted(sinkhornKd(pair, options));
  const answers = tf.ones([student.shape[0]]);
  return fitted(
    sinkhornKd(pair, {
      ...options,
      formulation: { kind: "answer", answers, ...(answerVocabulary && { vocabulary: answerVocabulary }) },
    }),
  );
};

/** Transport between an example's classes; in closed form, what iterations come to, unless how to iterate is written. */
export const sampleWise: Compute<Transported> = ({ student, teacher }, config) => {
  const { lambda, iterations, tolerance, gradient } = config.sinkhorn;
  const isClosed = iterations === undefined && tolerance === undefined && gradient === undefined;
  const options = isClosed ? { lambda } : solverOf(config);
  return fitted(
    sampleWiseSinkhorn({ student, teacher: teacher! }, { temperature: config.temperature, ...options }),
  );
};

/** Distances by rank, and the transport of a sequence's tokens. */
export const multiLevel: Compute<Transported> = (signals, config) => {
  const { student, teacher, sequence, teacherSequence, examples } = signals;
  const mine = inSequences(student, sequence, examples);
  const theirs = inSequences(teacher!, teacherSequence, examples);
  const { loss, rowError } = multiLevelDistillation(
    { student: mine.padded, teacher: theirs.padded },
    {
      temperature: config.temperature,
      ...solverOf(config),
      masks: { student: mine.mask, teacher: theirs.mask },
    },
  );
  // Means over a sequence's tokens; times their number they add up over micro-batches like every other term.
  const tokens = tf.sum(mine.mask, 1);
  return { losses: tf.mul(loss, tokens), rowError: tf.mul(rowError, tokens) };
};
