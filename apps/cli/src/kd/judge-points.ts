import { forwardKl, reverseKl, tokenDivergence, totalVariation } from "@fdiv/divergences";
import { costMatrix, sinkhornPlan } from "@fdiv/sinkhorn-kd";
import { crossEntropy, logSoftmax } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { kdBatch, type Pair } from "./kd-batches.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import { signalTensors, type Teacher, type TeacherSignal } from "./teacher-signal.ts";
import { stoppingOf } from "./transport-terms.ts";

/** Means over the points of held-out examples: the label's loss, and how near student and teacher are. */
export async function judgePoints(
  pairs: readonly Pair[],
  model: KdModel,
  teacher: Teacher | undefined,
  perBatch: number,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  let points = 0;
  for (let from = 0; from < pairs.length; from += perBatch) {
    const batch = await kdBatch(pairs.slice(from, from + perBatch), model, teacher);
    const { signal, layout } = batch;
    const measured = tf.tidy(() => {
      const student = model.logits(layout);
      const found: Record<string, tf.Tensor> = {
        loss: model.isRegression
          ? tf.sum(
              tf.squaredDifference(tf.reshape(student, [-1]), tf.tensor1d(layout.labels as Float32Array)),
            )
          : tf.sum(crossEntropy(student, tf.tensor1d(layout.labels as Int32Array, "int32"))),
      };
      // Points can be compared one by one only where both sides have the same, over one vocabulary.
      if (signal && isComparable(signal, student, model)) {
        const { teacher: logits } = signalTensors(signal);
        const [p, q] = [logSoftmax(student) as tf.Tensor2D, logSoftmax(logits) as tf.Tensor2D];
        found.agreement = tf.sum(tf.cast(tf.equal(tf.argMax(student, 1), tf.argMax(logits, 1)), "float32"));
        found["forward-kl"] = tf.sum(tokenDivergence(forwardKl, p, q));
        found["reverse-kl"] = tf.sum(tokenDivergence(reverseKl, p, q));
        found["total-variation"] = tf.sum(tokenDivergence(totalVariation, p, q));
      }
      return found;
    });
    for (const [name, value] of Object.entries(measured)) {
      sums[name] = (sums[name] ?? 0) + value.dataSync()[0]!;
      value.dispose();
    }
    points += layout.labels.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / points]));
}

function isComparable(signal: TeacherSignal, student: tf.Tensor2D, { isRegression }: KdModel): boolean {
  const { indices, points, columns } = signal;
  return !isRegression && !indices && points === student.shape[0] && columns === student.shape[1];
}

/** A plan between student and teacher at a few points, to be drawn: rows are the student's. */
export interface DrawnPlan {
  lambda: number;
  plan: number[][];
  cost: number[][];
}

const drawnPoints = 24;

/** The transport plan of the first held-out points; undefined where their distributions have no common columns. */
export async function drawPlan(
  pairs: readonly Pair[],
  model: KdModel,
  teacher: Teacher,
  { temperature, sinkhorn }: Pick<KdConfig, "temperature" | "sinkhorn">,
): Promise<DrawnPlan | undefined> {
  const { lambda } = sinkhorn;
  const { signal, layout } = await kdBatch(pairs.slice(0, drawnPoints), model, teacher);
  const count = Math.min(drawnPoints, layout.labels.length);
  if (!signal || signal.indices || model.isRegression || signal.points < count) return undefined;
  const drawn = tf.tidy(() => {
    const student = model.logits(layout);
    if (student.shape[1] !== signal.columns) return undefined;
    const { teacher: logits } = signalTensors(signal);
    const law = (x: tf.Tensor2D) =>
      tf.softmax(tf.div(tf.slice(x, [0, 0], [count, -1]), temperature)) as tf.Tensor2D;
    const cost = costMatrix(law(student), law(logits), sinkhorn.cost);
    return { cost, plan: sinkhornPlan(cost, { lambda, ...stoppingOf({ sinkhorn }), marginals: "unit" }) };
  });
  if (!drawn) return undefined;
  const rows = {
    lambda,
    plan: drawn.plan.arraySync() as number[][],
    cost: drawn.cost.arraySync() as number[][],
  };
  tf.dispose([drawn.plan, drawn.cost]);
  return rows;
}
