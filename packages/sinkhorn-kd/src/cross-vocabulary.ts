import * as tf from "@tensorflow/tfjs-core";
import { costMatrix } from "./cost-matrix.ts";
import type { MarginalFit } from "./marginal-fit.ts";
import { checkOptions, checkTransport, withoutUndefined } from "./option-check.ts";
import { solvedValue } from "./sinkhorn.ts";
import { planSinkhorn, type SinkhornOptions } from "./sinkhorn-options.ts";
import { sortedTop } from "./sorted-top.ts";
import {
  checkLogits,
  checkTemperature,
  constant,
  flat,
  presentLogits,
  softened,
  type TeacherStudent,
} from "./teacher-student.ts";
import { transportProblem } from "./transport-problem.ts";

// Teacher and student with different vocabularies: probabilities are compared by rank, not by token.

function checkPlaces(what: string, pair: TeacherStudent, least: number): void {
  checkLogits(what, pair);
  const { student, teacher } = pair;
  const [s, t] = [student.shape.slice(0, -1), teacher.shape.slice(0, -1)];
  if (
    s.length !== t.length ||
    s.length < 1 ||
    s.length > 2 ||
    s.slice(0, least).some((size, i) => size !== t[i])
  )
    throw new RangeError(
      `${what}: student has shape [${student.shape}] and teacher [${teacher.shape}], which do not fit.`,
    );
}

function checkMasks(masks: MultiLevelOptions["masks"], pair: TeacherStudent): void {
  if (!masks) return;
  checkOptions("multiLevelDistillation: masks", masks, { student: true, teacher: true });
  for (const side of ["student", "teacher"] as const) {
    const [mask, places] = [masks[side], pair[side].shape.slice(0, 2)];
    if (!(mask instanceof tf.Tensor) || mask.rank !== 2 || mask.shape.some((size, i) => size !== places[i]))
      throw new RangeError(
        `multiLevelDistillation: masks.${side} has shape [${mask?.shape ?? ""}], expected [${places}].`,
      );
  }
}

const padded = (x: tf.Tensor2D, size: number): tf.Tensor2D =>
  x.shape[1] === size
    ? x
    : tf.pad(x, [
        [0, 0],
        [0, size - x.shape[1]],
      ]);

export interface UniversalLogitOptions {
  /** Default 1. */
  temperature?: number;
}

/**
 * Universal logit distillation (ULD, arXiv 2402.12030): Σᵢ|sort(p)ᵢ − sort(q)ᵢ| of each token, the smaller vocabulary padded
 * with zeros; the transport between distributions over tokens of which any two are equally far apart.
 *
 * @param pair student [tokens, V] and teacher [tokens, W], or [sequences, L, ·]
 * @returns [tokens]
 */
export function universalLogitDistance(
  pair: TeacherStudent,
  options: UniversalLogitOptions = {},
): tf.Tensor1D {
  checkOptions("universalLogitDistance", options, { temperature: true });
  const { temperature = 1 } = options;
  checkPlaces("universalLogitDistance", pair, 2);
  checkTemperature("universalLogitDistance", temperature);
  return tf.tidy(() => {
    const [p, q] = [pair.student, pair.teacher].map(
      (logits) => softened(flat(logits), temperature) as tf.Tensor2D,
    );
    const size = Math.max(p!.shape[1], q!.shape[1]);
    const [s, t] = [sortedTop(p!, p!.shape[1]), constant(sortedTop(q!, q!.shape[1]))];
    return tf.sum(tf.abs(tf.sub(padded(s, size), padded(t, size))), 1);
  });
}

export interface MultiLevelOptions {
  /** Largest probabilities that are kept of each token; default 50. */
  topK?: number;
  /** Default 1. */
  temperature?: number;
  /** Weights of the absolute differences, the logarithmic term and the sequences' transport; default 1, .1 and .1. */
  weights?: { absolute?: number; logarithmic?: number; sequence?: number };
  /** Tokens that count, [sequences, L] of each side; the two may have other lengths. */
  masks?: { student: tf.Tensor2D; teacher: tf.Tensor2D };
  /** λ of the sequences' transport; default .1. */
  lambda?: number;
  /** T of it; default 20. */
  iterations?: number;
  transport?: Partial<SinkhornOptions>;
}

/** Each term of each sequence, [sequences], their weighted sum, and how well the sequences' plans met their marginals. */
export interface MultiLevelLoss extends MarginalFit {
  loss: tf.Tensor1D;
  absolute: tf.Tensor1D;
  logarithmic: tf.Tensor1D;
  sequence: tf.Tensor1D;
}

const multiLevelNames = {
  topK: true,
  temperature: true,
  weights: true,
  masks: true,
  lambda: true,
  iterations: true,
  transport: true,
} satisfies Record<keyof MultiLevelOptions, true>;

/** The mean of each row over the tokens that count. */
const meanOver = (x: tf.Tensor2D, weights: tf.Tensor2D): tf.Tensor1D =>
  tf.div(tf.sum(tf.where(tf.greater(weights, 0), x, tf.zerosLike(x)), 1), tf.maximum(tf.sum(weights, 1), 1));

const least = 1e-10;

/**
 * Multi-level optimal transport across tokenisers (after arXiv 2412.14528): of each token's `topK` largest probabilities, sorted, p of the
 * student and q of the teacher, the tokens' Σ|p − q| and −Σ q log p, means over the positions both have, and the Sinkhorn distance of
 * the two sequences' tokens with cost ‖p_i − q_j‖₁, which needs no alignment of positions (L × L').
 *
 * @param pair student [sequences, L, V], teacher [sequences, L', W]
 */
export function multiLevelDistillation(
  pair: TeacherStudent,
  options: MultiLevelOptions = {},
): MultiLevelLoss {
  const {
    topK = 50,
    temperature = 1,
    weights = {},
    masks,
    lambda = 0.1,
    iterations,
    transport = {},
  } = options;
  checkOptions("multiLevelDistillation", options, multiLevelNames);
  checkOptions("multiLevelDistillation: weights", weights, {
    absolute: true,
    logarithmic: true,
    sequence: true,
  });
  checkTransport("multiLevelDistillation", options, ["marginals", "ragged"]);
  checkLogits("multiLevelDistillation", pair);
  if (pair.student.rank !== 3)
    throw new RangeError(
      `multiLevelDistillation: logits are [sequences, L, V], not [${pair.student.shape}].`,
    );
  checkPlaces("multiLevelDistillation", pair, 1);
  checkMasks(masks, pair);
  checkTemperature("multiLevelDistillation", temperature);
  if (!(Number.isInteger(topK) && topK > 0))
    throw new RangeError(`multiLevelDistillation: topK is ${topK}, expected a positive whole number.`);
  const { absolute = 1, logarithmic = 0.1, sequence = 0.1 } = weights;
  return tf.tidy(() => {
    const top = (logits: tf.Tensor): tf.Tensor3D => {
      const size = logits.shape[2]!;
      const rows = padded(
        sortedTop(softened(flat(logits), temperature) as tf.Tensor2D, Math.min(topK, size)),
        topK,
      );
      return tf.reshape(rows, [logits.shape[0]!, logits.shape[1]!, topK]);
    };
    const given = (logits: tf.Tensor, mask?: tf.Tensor2D) => top(mask ? presentLogits(logits, mask) : logits);
    const [p, q] = [given(pair.student, masks?.student), constant(given(pair.teacher, masks?.teacher))];
    const present = (x: tf.Tensor3D, mask?: tf.Tensor2D): tf.Tensor2D =>
      mask ? tf.cast(tf.notEqual(mask, 0), "float32") : tf.ones([x.shape[0], x.shape[1]]);
    const [rows, columns] = [present(p, masks?.student), present(q, masks?.teacher)];
    const common = Math.min(p.shape[1], q.shape[1]);
    const front = <T extends tf.Tensor>(x: T): T =>
      tf.slice(
        x,
        x.shape.map(() => 0),
        [x.shape[0]!, common, ...x.shape.slice(2)],
      );
    const [s, t] = [front(p), front(q)];
    const both = tf.mul(front(rows), front(columns)) as tf.Tensor2D;
    const differences = meanOver(tf.sum(tf.abs(tf.sub(s, t)), 2) as tf.Tensor2D, both);
    const logs = tf.neg(tf.sum(tf.mul(t, tf.log(tf.maximum(s, least))), 2)) as tf.Tensor2D;
    const crossed = meanOver(logs, both);
    const solver = {
      lambda,
      ...(iterations !== undefined && { iterations }),
      ...withoutUndefined(transport),
      marginals: "normalised",
      ragged: { rows, columns },
    } as SinkhornOptions;
    const problem = transportProblem(costMatrix(p, q, "l1"), solver, true);
    const { value: transported, ...fit } = solvedValue(problem, planSinkhorn(solver));
    const loss = tf.addN([
      tf.mul(absolute, differences),
      tf.mul(logarithmic, crossed),
      tf.mul(sequence, transported),
    ]) as tf.Tensor1D;
    return { loss, absolute: differences, logarithmic: crossed, sequence: transported, ...fit };
  });
}
