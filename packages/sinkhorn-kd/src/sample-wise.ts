import * as tf from "@tensorflow/tfjs-core";
import type { MarginalFit } from "./marginal-fit.ts";
import { checkOptions, checkTransport, withoutUndefined } from "./option-check.ts";
import { solvedValue } from "./sinkhorn.ts";
import { planSinkhorn, positive, type SinkhornOptions } from "./sinkhorn-options.ts";
import {
  checkSameVocabulary,
  checkTemperature,
  constant,
  flat,
  softened,
  type TeacherStudent,
} from "./teacher-student.ts";
import { transportProblem } from "./transport-problem.ts";
import { zeroOneTransport } from "./zero-one-transport.ts";

export interface SampleWiseOptions {
  /** Ground cost [V, V] of moving mass from one class to another; default 1 − I, whose transport is total variation as λ → 0. */
  ground?: tf.Tensor2D;
  /** Default 2. */
  temperature?: number;
  /** Default .1. */
  lambda?: number;
  /** T, as in the paper; without it the iterations' limit is what is computed. */
  iterations?: number;
  temperatureSquared?: boolean;
  /** Anything else for the solver; its marginals are the two distributions. */
  transport?: Partial<SinkhornOptions>;
}

const optionNames = {
  ground: true,
  temperature: true,
  lambda: true,
  iterations: true,
  temperatureSquared: true,
  transport: true,
} satisfies Record<keyof SampleWiseOptions, true>;

/** Of each example, [examples] or [sequences·L]. */
export interface SampleWiseLoss extends MarginalFit {
  loss: tf.Tensor1D;
}

/** [examples, V, V] has to fit; beyond this a vocabulary needs the batch-wise loss. */
const mostClasses = 4096;

/** Until the rows are right to .1 %, from a λ at which a few iterations are enough. */
const toConvergence = (lambda: number, transport: Partial<SinkhornOptions>) => ({
  tolerance: 1e-3,
  ...(transport.domain !== "kernel" && { annealing: { from: 64 * lambda, iterations: 10 } }),
});

/** The iterations' transport over a ground cost that every example has. */
function iterated(p: tf.Tensor2D, q: tf.Tensor2D, one: tf.Tensor2D, options: SampleWiseOptions) {
  const { lambda = 0.1, iterations } = options;
  const transport: Partial<SinkhornOptions> = withoutUndefined(options.transport ?? {});
  const isFixed = iterations !== undefined || transport.iterations !== undefined;
  const given = {
    lambda,
    ...(isFixed ? iterations !== undefined && { iterations } : toConvergence(lambda, transport)),
    ...transport,
    marginals: { a: p, b: q },
  } as SinkhornOptions;
  const cost = tf.tile(tf.expandDims(one, 0), [p.shape[0], 1, 1]);
  return solvedValue(transportProblem(cost, given, true), planSinkhorn(given));
}

/**
 * The sample-wise variant (arXiv 2402.17110): each example's student distribution is transported to its teacher's over
 * a ground cost between classes, for tasks with few of them.
 *
 * By default what converged iterations give: over 1 − I in closed form, with no [V, V] and at any λ; over a ground cost until the rows are
 * met to 10⁻³, at most 1000 iterations, with the gradient of the fixed point. `iterations` takes the paper's T instead. From zero potentials
 * T iterations move mass over a distance of about T·λ·|log p/q| only: for 1 − I a small λ and T = 20 give 0 and no gradient, whatever p and q.
 *
 * @param pair logits [examples, V] or [sequences, L, V]
 * @returns ⟨P, D⟩ of each example, and how well its plan met p and q
 * @throws RangeError on options and shapes, or with more than 4096 classes where there is a [V, V]; SinkhornError as the solver
 */
export function sampleWiseSinkhorn(pair: TeacherStudent, options: SampleWiseOptions = {}): SampleWiseLoss {
  checkOptions("sampleWiseSinkhorn", options, optionNames);
  checkTransport("sampleWiseSinkhorn", options, ["marginals", "ragged"]);
  const {
    temperature = 2,
    lambda = 0.1,
    iterations,
    ground,
    temperatureSquared = false,
    transport,
  } = options;
  checkSameVocabulary("sampleWiseSinkhorn", pair);
  checkTemperature("sampleWiseSinkhorn", temperature);
  const classes = pair.student.shape.at(-1)!;
  const isClosed =
    !ground && iterations === undefined && Object.keys(withoutUndefined(transport ?? {})).length === 0;
  if (classes > mostClasses && !isClosed)
    throw new RangeError(
      `sampleWiseSinkhorn: ${classes} classes need a ground cost of ${classes}² for each example; take sinkhornKd.`,
    );
  if (ground && (ground.shape[0] !== classes || ground.shape[1] !== classes))
    throw new RangeError(
      `sampleWiseSinkhorn: the ground cost has shape [${ground.shape}], expected [${classes}, ${classes}].`,
    );
  return tf.tidy(() => {
    const p = softened(flat(pair.student), temperature) as tf.Tensor2D;
    const q = constant(softened(flat(pair.teacher), temperature)) as tf.Tensor2D;
    const { value, ...fit } = isClosed
      ? zeroOneTransport(p, q, positive("sampleWiseSinkhorn: lambda", lambda))
      : iterated(p, q, ground ?? (tf.sub(1, tf.eye(classes)) as tf.Tensor2D), options);
    return { loss: temperatureSquared ? tf.mul(value, temperature ** 2) : value, ...fit };
  }) as SampleWiseLoss;
}
