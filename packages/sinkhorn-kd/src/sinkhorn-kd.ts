import * as tf from "@tensorflow/tfjs-core";
import { overTokens } from "./answer-vocabulary.ts";
import { type Cost, costMatrix } from "./cost-matrix.ts";
import { type MarginalFit, nothingToMeet, worstFit } from "./marginal-fit.ts";
import { checkOptions, checkTransport, withoutUndefined } from "./option-check.ts";
import { solvedValue } from "./sinkhorn.ts";
import { planSinkhorn, type SinkhornOptions } from "./sinkhorn-options.ts";
import {
  checkSameVocabulary,
  checkTemperature,
  constant,
  flat,
  keptRows,
  keptTokens,
  presentLogits,
  softened,
  type TeacherStudent,
} from "./teacher-student.ts";
import { transportProblem } from "./transport-problem.ts";

/**
 * What the points are that are transported. `batch`: every example, or every token of every sequence that the mask keeps, in one
 * problem (BL × BL). `sequence`: each sequence's tokens among themselves (a problem of L × L a sequence). `answer`: the tokens that
 * answer, in one problem, over all token ids or, renormalised, over those that answers can be.
 */
export type Formulation =
  | { kind: "batch" }
  | { kind: "sequence" }
  | { kind: "answer"; answers: tf.Tensor; vocabulary?: readonly number[] };

export interface SinkhornKdOptions {
  /** τ of both softmaxes; default 2. */
  temperature?: number;
  /** λ; default .1. */
  lambda?: number;
  /** T; default 20, unless `transport` sets a tolerance. */
  iterations?: number;
  /** Default batch. */
  formulation?: Formulation;
  /** Tokens that count, [examples] or [sequences, L]; not with `answer`, which has its own. */
  mask?: tf.Tensor;
  /** Distance of two distributions; default l1, the paper's. */
  cost?: Cost;
  /** Subtracts half of each side's transport to itself, so that the loss is 0 at p = q. Default false. */
  debiased?: boolean;
  /** Multiplies by τ², as distillation by KL does to keep gradients of one size. Default false, the paper's. */
  temperatureSquared?: boolean;
  /** Anything else for the solver; marginals are `unit` unless set. */
  transport?: Partial<SinkhornOptions>;
}

const optionNames = {
  temperature: true,
  lambda: true,
  iterations: true,
  formulation: true,
  mask: true,
  cost: true,
  debiased: true,
  temperatureSquared: true,
  transport: true,
} satisfies Record<keyof SinkhornKdOptions, true>;

const formulations: Record<Formulation["kind"], Record<string, true>> = {
  batch: { kind: true },
  sequence: { kind: true },
  answer: { kind: true, answers: true, vocabulary: true },
};

export interface SinkhornKdLoss extends MarginalFit {
  /** L_SD of each problem, a sum over its points; [1] for `batch` and `answer`, [sequences] for `sequence`. */
  loss: tf.Tensor1D;
  /** How many points there are in all: divide by those of the whole batch, however it is split. */
  points: number;
}

interface Points {
  /** [problems, points, V] */
  student: tf.Tensor3D;
  teacher: tf.Tensor3D;
  /** 0/1 [problems, points] where some are not there. */
  mask?: tf.Tensor2D;
  count: number;
}

function pointsOf(
  pair: TeacherStudent,
  { formulation = { kind: "batch" }, mask }: SinkhornKdOptions,
): Points {
  const { student, teacher } = pair;
  if (!Object.hasOwn(formulations, formulation.kind))
    throw new RangeError("sinkhornKd: there is no such formulation; there are batch, sequence and answer.");
  checkOptions(`sinkhornKd: formulation ${formulation.kind}`, formulation, formulations[formulation.kind]);
  if (formulation.kind === "sequence") {
    if (student.rank !== 3)
      throw new RangeError(`sinkhornKd: sequences need logits [sequences, L, V], not [${student.shape}].`);
    const both = { student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D };
    if (!mask) return { ...both, count: student.shape[0]! * student.shape[1]! };
    const count = keptTokens("sinkhornKd", mask, student).length;
    const kept = tf.cast(tf.notEqual(mask, 0), "float32") as tf.Tensor2D;
    return {
      student: presentLogits(student, kept),
      teacher: presentLogits(teacher, kept),
      mask: kept,
      count,
    };
  }
  if (formulation.kind === "answer" && mask)
    throw new RangeError(
      "sinkhornKd: `answers` tells the tokens of an answer; a mask beside it would be ignored.",
    );
  const chosen = formulation.kind === "answer" ? formulation.answers : mask;
  const kept = chosen && keptTokens("sinkhornKd", chosen, student);
  const ids = formulation.kind === "answer" ? formulation.vocabulary : undefined;
  const [s, t] = [student, teacher].map((logits) => {
    const rows = kept ? keptRows(flat(logits), kept) : flat(logits);
    return tf.expandDims(ids ? overTokens(rows, ids) : rows, 0) as tf.Tensor3D;
  });
  return { student: s!, teacher: t!, count: s!.shape[1] };
}

/** The transport of x to y of each problem. */
function transported(
  x: tf.Tensor3D,
  y: tf.Tensor3D,
  mask: tf.Tensor2D | undefined,
  { lambda = 0.1, iterations, cost = "l1", transport = {} }: SinkhornKdOptions,
) {
  const options = {
    lambda,
    ...(iterations !== undefined && { iterations }),
    marginals: "unit",
    ...withoutUndefined(transport),
    ...(mask && { ragged: { rows: mask, columns: mask } }),
  } as SinkhornOptions;
  const planning = planSinkhorn(options);
  return solvedValue(transportProblem(costMatrix(x, y, cost), options, true), planning);
}

/**
 * SinKD (arXiv 2402.17110): with p = softmax(student/τ), q = softmax(teacher/τ) and D_ij = ‖p_i − q_j‖₁ between all points,
 * L_SD = ⟨P, D⟩ of the plan after T normalisations of exp(−D/λ), unit marginals. The gradient goes to the student alone.
 *
 * Transport does not know which point of one side belongs to which of the other: mix with `logitDistillation` and cross-entropy.
 *
 * @returns L_SD, and how well the plans met their marginals; debiased, the worst of the three transports
 * @throws RangeError on options and shapes; SinkhornError as the solver, and where λ is too small for float32 to have a gradient
 */
export function sinkhornKd(pair: TeacherStudent, options: SinkhornKdOptions = {}): SinkhornKdLoss {
  checkOptions("sinkhornKd", options, optionNames);
  checkTransport("sinkhornKd", options, options.mask ? ["ragged"] : []);
  const { temperature = 2, debiased = false, temperatureSquared = false } = options;
  checkSameVocabulary("sinkhornKd", pair);
  checkTemperature("sinkhornKd", temperature);
  let points = 0;
  const found = tf.tidy(() => {
    const { student, teacher, mask, count } = pointsOf(pair, options);
    points = count;
    const problems = student.shape[0];
    if (count === 0) return { loss: tf.zeros([problems]) as tf.Tensor1D, ...nothingToMeet(problems) };
    const p = softened(student, temperature) as tf.Tensor3D;
    const q = constant(softened(teacher, temperature)) as tf.Tensor3D;
    const { value, ...fit } = transported(p, q, mask, options);
    const scale = (loss: tf.Tensor1D): tf.Tensor1D =>
      temperatureSquared ? tf.mul(loss, temperature ** 2) : loss;
    if (!debiased) return { loss: scale(value), ...fit };
    const [left, right] = [transported(p, p, mask, options), transported(q, q, mask, options)] as const;
    const loss = tf.sub(value, tf.mul(0.5, tf.add(left.value, right.value))) as tf.Tensor1D;
    return { loss: scale(loss), ...worstFit([fit, left, right]) };
  });
  return { ...found, points };
}
