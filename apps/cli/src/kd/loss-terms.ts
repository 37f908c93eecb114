import { divergence } from "@fdiv/divergences";
import {
  generalisedJensenShannon,
  logitDistillation,
  type SparseTeacher,
  skewForwardKl,
  skewReverseKl,
  sparseDistillation,
  universalLogitDistance,
} from "@fdiv/sinkhorn-kd";
import { crossEntropy, gatherRows } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { KdConfig } from "./kd-schema.ts";
import { multiLevel, sampleWise, transported } from "./transport-terms.ts";

/** What the terms of a loss are computed of; all points count alike. */
export interface Signals {
  /** [points, V] */
  student: tf.Tensor2D;
  /**
   * Dense logits [points, W], of other points and classes where vocabularies differ; absent for a loss without a teacher. Of a sparse
   * teacher the distribution with the tail's mass spread evenly, as logits.
   */
  teacher?: tf.Tensor2D;
  /** What was kept of the teacher in place of all logits. */
  sparse?: SparseTeacher;
  labels: Float32Array | Int32Array;
  /** Which example a point belongs to, of both. */
  sequence: Int32Array;
  teacherSequence: Int32Array;
  examples: number;
  /** Points whose label was written by somebody; those of a student's own answers are not learnt. */
  labelled: Float32Array;
  isRegression: boolean;
  /** Token ids that answers are made of. */
  answerVocabulary?: readonly number[];
}

/** One term. */
export interface LossTerm {
  name: string;
  weight: number;
  needsTeacher: boolean;
  /** Whether it can compare other vocabularies. */
  isCrossVocabulary: boolean;
  /** Whether it is a function of which points are computed together. */
  isOfTheBatch: boolean;
  /** Sums over the points: the loss, and of transport how much of their mass the plans' rows are off. */
  sums(signals: Signals): { loss: tf.Scalar; rowError?: tf.Scalar };
}

/** Losses that add up to a term's, and of transport each problem's Σ|P1 − a|, in mass of which every point has 1. */
export interface Transported {
  losses: tf.Tensor;
  rowError: tf.Tensor;
}

export type Compute<Losses = tf.Tensor | Transported> = (signals: Signals, config: KdConfig) => Losses;
interface Kind {
  compute: Compute;
  isCrossVocabulary?: boolean;
  needsTeacher?: boolean;
}

/** [points] losses against the labels: cross-entropy, or of a regression the squared error. */
const labelLoss: Compute<tf.Tensor> = ({ student, labels, labelled, isRegression }) => {
  const losses = isRegression
    ? tf.squaredDifference(tf.reshape(student, [-1]), tf.tensor1d(labels as Float32Array))
    : crossEntropy(student, tf.tensor1d(labels as Int32Array, "int32"));
  return labelled.every((one) => one === 1) ? losses : tf.mul(losses, tf.tensor1d(labelled));
};

/** The first points of each example that both have. */
const universal: Compute = (signals, { temperature }) => {
  const { student, teacher, sequence, teacherSequence } = signals;
  const [mine, theirs] = commonPoints(sequence, teacherSequence);
  const rows = (x: tf.Tensor2D, at: Int32Array) => gatherRows(x, tf.tensor1d(at, "int32")) as tf.Tensor2D;
  const pair = { student: rows(student, mine), teacher: rows(teacher!, theirs) };
  return universalLogitDistance(pair, { temperature });
};

/** Pairs of points with the same place in the same example. */
function commonPoints(mine: Int32Array, theirs: Int32Array): [Int32Array, Int32Array] {
  const starts = (ids: Int32Array) => {
    const found = new Map<number, number[]>();
    ids.forEach((id, point) => {
      found.set(id, [...(found.get(id) ?? []), point]);
    });
    return found;
  };
  const [a, b] = [starts(mine), starts(theirs)];
  const [left, right]: [number[], number[]] = [[], []];
  for (const [id, points] of a)
    points.slice(0, b.get(id)?.length ?? 0).forEach((point, place) => {
      left.push(point);
      right.push(b.get(id)![place]!);
    });
  return [Int32Array.from(left), Int32Array.from(right)];
}

const ofLogits = (name: string): Compute => {
  const d = parametrised(name) ?? divergence(name);
  return ({ student, teacher, sparse }, { temperature, temperatureSquared }) =>
    sparse
      ? sparseDistillation(student, sparse, { divergence: d, temperatureSquared })
      : logitDistillation({ student, teacher: teacher! }, { divergence: d, temperature, temperatureSquared });
};

/** Divergences to mixtures, which have a parameter and are no members of the family. */
function parametrised(name: string) {
  const match = /^(gjs|gjs-scaled|skew-kl|skew-reverse-kl):([\d.]+)$/.exec(name);
  if (!match) return undefined;
  const parameter = Number(match[2]);
  const kinds = {
    gjs: () => generalisedJensenShannon(parameter),
    "gjs-scaled": () => generalisedJensenShannon(parameter, { scaled: true }),
    "skew-kl": () => skewForwardKl(parameter),
    "skew-reverse-kl": () => skewReverseKl(parameter),
  };
  return kinds[match[1] as keyof typeof kinds]();
}

const kinds: Record<string, Kind> = {
  ce: { compute: labelLoss, needsTeacher: false },
  mse: {
    compute: ({ student, teacher }) => tf.mean(tf.squaredDifference(student, teacher!), 1),
  },
  sinkhorn: { compute: transported },
  "sample-wise": { compute: sampleWise },
  uld: { compute: universal, isCrossVocabulary: true },
  "multi-level": { compute: multiLevel, isCrossVocabulary: true },
};

/** @throws RangeError on an unknown name or a parameter outside of its range */
export function lossTerm(name: string, weight: number, config: KdConfig): LossTerm {
  const kind = Object.hasOwn(kinds, name) ? kinds[name]! : { compute: ofLogits(name) };
  return {
    name,
    weight,
    needsTeacher: kind.needsTeacher ?? true,
    isCrossVocabulary: kind.isCrossVocabulary ?? false,
    isOfTheBatch: name === "sinkhorn" && config.sinkhorn.formulation !== "sequence",
    sums(signals) {
      const found = kind.compute(signals, config);
      if (found instanceof tf.Tensor) return { loss: tf.sum(found) as tf.Scalar };
      const { losses, rowError } = found;
      return { loss: tf.sum(losses) as tf.Scalar, rowError: tf.sum(rowError) as tf.Scalar };
    },
  };
}
