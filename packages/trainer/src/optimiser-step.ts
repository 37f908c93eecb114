import { clipByGlobalNorm, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { NonFiniteError } from "./non-finite.ts";
import type { StepRow, TrainOptions } from "./train.ts";

/** Sums of one micro-batch: its loss, its metrics, its gradients. */
interface Sums {
  loss: number;
  metrics: Map<string, number>;
  gradients: Map<string, tf.Tensor>;
}

/** One optimiser step over the micro-batches of batch number `step`; the row that describes it. */
export async function optimiserStep<M>(options: TrainOptions<M>, step: number): Promise<StepRow> {
  const { batches, parameters, optimizer, schedule } = options;
  const started = performance.now();
  const epoch = Math.floor(step / batches.stepsPerEpoch);
  const batchIndex = step % batches.stepsPerEpoch;
  const microBatches = await batches.batch(epoch, batchIndex);
  const examples = microBatches.reduce((sum, micro) => sum + options.examples(micro), 0);
  if (!(examples > 0)) throw new Error(`train: batch ${batchIndex} of epoch ${epoch} holds no example.`);
  const fail = (what: string): NonFiniteError =>
    new NonFiniteError(what, {
      step,
      epoch,
      batchIndex,
      batch: microBatches.map((micro) => options.describe?.(micro) ?? null),
    });

  let total: Sums | undefined;
  try {
    for (const micro of microBatches) {
      const sums = microBatchSums(options, micro);
      total = total ? addSums(total, sums) : sums;
      if (!Number.isFinite(total.loss)) throw fail(`The loss is ${total.loss}`);
    }
    const { loss, metrics, gradients } = total!;
    // The norm of the mean's gradient; the sums themselves are never divided, the optimiser scales as it reads.
    const { norm, scale } = clipByGlobalNorm(
      gradients,
      (options.gradientClip ?? Number.MAX_VALUE) * examples,
    );
    if (!Number.isFinite(norm)) throw fail(`The gradient's norm is ${norm}`);
    const learningRate = options.learningRate * (schedule?.(step) ?? 1);
    optimizer.step(parameters, gradients, { learningRate, gradientScale: scale / examples });

    const seconds = (performance.now() - started) / 1e3;
    const { tokens } = options;
    const speed: Record<string, number> = tokens
      ? { tokensPerSecond: microBatches.reduce((sum, micro) => sum + tokens(micro), 0) / seconds }
      : { examplesPerSecond: examples / seconds };
    return {
      step: step + 1,
      epoch: (step + 1) / batches.stepsPerEpoch,
      loss: loss / examples,
      ...Object.fromEntries([...metrics].map(([name, sum]) => [name, sum / examples])),
      learningRate,
      gradientNorm: norm / examples,
      ...speed,
      seconds,
    };
  } finally {
    if (total) tf.dispose([...total.gradients.values()]);
  }
}

function microBatchSums<M>({ loss, parameters }: TrainOptions<M>, micro: M): Sums {
  let names: string[] = [];
  let measured: tf.Tensor | undefined;
  const { value, gradients } = valueAndGradients(() => {
    const result = loss(micro);
    const metrics = result.metrics ?? {};
    names = Object.keys(metrics);
    // One read for all of them; kept, because everything else that the function makes is freed.
    if (names.length > 0) measured = tf.keep(tf.stack(names.map((name) => tf.reshape(metrics[name]!, []))));
    return result.loss;
  }, parameters);
  const figures = measured?.dataSync() ?? [];
  const sums = {
    loss: value.dataSync()[0]!,
    metrics: new Map(names.map((name, i) => [name, figures[i]!])),
    gradients,
  };
  tf.dispose(measured ? [value, measured] : [value]);
  return sums;
}

function addSums(a: Sums, b: Sums): Sums {
  const gradients = new Map(a.gradients);
  for (const [name, gradient] of b.gradients) {
    const before = gradients.get(name);
    if (!before) {
      gradients.set(name, gradient);
      continue;
    }
    gradients.set(name, tf.add(before, gradient));
    tf.dispose([before, gradient]);
  }
  const metrics = new Map(a.metrics);
  for (const [name, sum] of b.metrics) metrics.set(name, (metrics.get(name) ?? 0) + sum);
  return { loss: a.loss + b.loss, metrics, gradients };
}
