import * as tf from "@tensorflow/tfjs-core";
import { solvedValue } from "./sinkhorn.ts";
import { planSinkhorn, type SinkhornOptions } from "./sinkhorn-options.ts";
import {
  checkSameVocabulary,
  checkTemperature,
  constant,
  flat,
  softened,
  type TeacherStudent,
} from "./teacher-student.ts";
import { transportProblem } from "./transport-problem.ts";

export interface SampleWiseOptions {
  /** Ground cost [V, V] of moving mass from one class to another; default 1 − I, whose transport is total variation. */
  ground?: tf.Tensor2D;
  /** Default 2. */
  temperature?: number;
  /** Default .1. */
  lambda?: number;
  /** Default 20. */
  iterations?: number;
  temperatureSquared?: boolean;
  transport?: Partial<SinkhornOptions>;
}

/** [examples, V, V] has to fit; beyond this a vocabulary needs the batch-wise loss. */
const mostClasses = 4096;

/**
 * The sample-wise variant (arXiv 2402.17110): each example's student distribution is transported to its teacher's over
 * a ground cost between classes, for tasks with few of them.
 *
 * @param pair logits [examples, V] or [sequences, L, V]
 * @returns per example, [examples] or [sequences·L]
 * @throws RangeError on shapes, or with more than 4096 classes
 */
export function sampleWiseSinkhorn(pair: TeacherStudent, options: SampleWiseOptions = {}): tf.Tensor1D {
  const {
    temperature = 2,
    lambda = 0.1,
    iterations,
    ground,
    temperatureSquared = false,
    transport = {},
  } = options;
  checkSameVocabulary("sampleWiseSinkhorn", pair);
  checkTemperature("sampleWiseSinkhorn", temperature);
  const classes = pair.student.shape.at(-1)!;
  if (classes > mostClasses)
    throw new RangeError(
      `sampleWiseSinkhorn: ${classes} classes need a ground cost of ${classes}² for each example; take sinkhornKd.`,
    );
  if (ground && (ground.shape[0] !== classes || ground.shape[1] !== classes))
    throw new RangeError(
      `sampleWiseSinkhorn: the ground cost has shape [${ground.shape}], expected [${classes}, ${classes}].`,
    );
  return tf.tidy(() => {
    const p = softened(flat(pair.student), temperature);
    const q = constant(softened(flat(pair.teacher), temperature));
    const one = ground ?? (tf.sub(1, tf.eye(classes)) as tf.Tensor2D);
    const cost = tf.tile(tf.expandDims(one, 0), [p.shape[0]!, 1, 1]);
    const given = {
      lambda,
      ...(iterations !== undefined && { iterations }),
      ...transport,
      marginals: { a: p, b: q },
    } as SinkhornOptions;
    const value = solvedValue(transportProblem(cost, given, true), planSinkhorn(given));
    return temperatureSquared ? tf.mul(value, temperature ** 2) : value;
  }) as tf.Tensor1D;
}
