import { logitDistillation, sampleWiseSinkhorn, sinkhornKd } from "@fdiv/sinkhorn-kd";
import * as tf from "@tensorflow/tfjs-core";
import { places } from "./mode-settings.ts";

type Loss = (student: tf.Tensor2D, teacher: tf.Tensor2D) => tf.Scalar;

const byDivergence =
  (divergence: string): Loss =>
  (student, teacher) =>
    tf.sum(logitDistillation({ student, teacher }, { divergence }));

const batchWise: Loss = (student, teacher) =>
  tf.sum(sinkhornKd({ student, teacher }, { temperature: 1 }).loss);

/** |i − j| between places, as a share of the longest way. */
const ground = (): tf.Tensor2D => {
  const at = tf.range(0, places);
  return tf.div(tf.abs(tf.sub(tf.expandDims(at, 1), tf.expandDims(at, 0))), places) as tf.Tensor2D;
};

const sampleWise: Loss = (student, teacher) =>
  tf.sum(
    sampleWiseSinkhorn(
      { student, teacher },
      { temperature: 1, ground: ground(), lambda: 0.01, iterations: 60 },
    ).loss,
  );

/** Losses under comparison, each a sum over examples; both Sinkhorn losses alone, and the batch-wise one with KL as SinKD has it. */
export const modeLosses: Record<string, Loss> = {
  "forward-kl": byDivergence("forward-kl"),
  "reverse-kl": byDivergence("reverse-kl"),
  "jensen-shannon": byDivergence("jensen-shannon"),
  "total-variation": byDivergence("total-variation"),
  "sinkhorn, batch-wise": batchWise,
  "sinkhorn + forward-kl": (student, teacher) =>
    tf.add(batchWise(student, teacher), byDivergence("forward-kl")(student, teacher)),
  "sinkhorn, sample-wise": sampleWise,
};
