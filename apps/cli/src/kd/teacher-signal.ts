import { denseTeacher, type SparseTeacher, sparseTeacher } from "@fdiv/sinkhorn-kd";
import type { TeacherCache, TeacherOutput } from "@fdiv/sinkhorn-kd/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Example, KdModel } from "./kd-model.ts";

/** A teacher's distributions at the points of a batch, in plain arrays, so that computing them is no part of the student's gradient. */
export interface TeacherSignal extends TeacherOutput {
  /** Which example a point belongs to. */
  sequence: Int32Array;
  /** τ that sparse log-probabilities were taken at. */
  temperature: number;
}

/** What gives the signals: the model itself, or its outputs kept on disk. */
export interface Teacher {
  signal(examples: readonly Example[]): Promise<TeacherSignal>;
}

type Outputs = TeacherOutput & { sequence: Int32Array };

/** Computes examples together; of more than `topK` tokens the likeliest are kept. */
async function compute(
  model: KdModel,
  examples: readonly Example[],
  topK: number | undefined,
  temperature: number,
): Promise<Outputs> {
  const layout = model.layout(examples);
  const logits = tf.tidy(() => model.logits(layout));
  const [points, columns] = logits.shape;
  const { sequence } = layout;
  try {
    if (topK === undefined || topK >= columns)
      return { points, columns, kept: columns, values: (await logits.data()) as Float32Array, sequence };
    const { indices, logProbs, tail } = sparseTeacher(logits, { k: topK, temperature });
    const output = {
      points,
      columns,
      kept: topK,
      indices: (await indices.data()) as Int32Array,
      values: (await logProbs.data()) as Float32Array,
      tail: (await tail.data()) as Float32Array,
      sequence,
    };
    tf.dispose([indices, logProbs, tail]);
    return output;
  } finally {
    logits.dispose();
  }
}

/** The part of outputs that belongs to each example. */
function perExample(outputs: Outputs, examples: number): TeacherOutput[] {
  const { columns, kept, values, indices, tail, sequence } = outputs;
  const points: number[][] = Array.from({ length: examples }, () => []);
  sequence.forEach((id, point) => {
    points[id]!.push(point);
  });
  return points.map((own) => {
    // Points of an example lie one after the other.
    const [from, to] = [own[0] ?? 0, (own.at(-1) ?? -1) + 1];
    return {
      points: own.length,
      columns,
      kept,
      values: values.slice(from * kept, to * kept),
      ...(indices && { indices: indices.slice(from * kept, to * kept) }),
      ...(tail && { tail: tail.slice(from, to) }),
    };
  });
}

const joined = (
  parts: readonly (Float32Array | Int32Array)[],
  make: (length: number) => Float32Array | Int32Array,
) => {
  const all = make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

function together(outputs: readonly TeacherOutput[]): Outputs {
  const [{ columns, kept, indices }] = outputs as [TeacherOutput];
  const points = outputs.reduce((sum, output) => sum + output.points, 0);
  const sequence = Int32Array.from(outputs.flatMap((output, i) => new Array<number>(output.points).fill(i)));
  const floats = (pick: (output: TeacherOutput) => Float32Array) =>
    joined(outputs.map(pick), (length) => new Float32Array(length)) as Float32Array;
  return {
    points,
    columns,
    kept,
    sequence,
    values: floats(({ values }) => values),
    ...(indices && {
      indices: joined(
        outputs.map((output) => output.indices!),
        (length) => new Int32Array(length),
      ) as Int32Array,
      tail: floats(({ tail }) => tail!),
    }),
  };
}

/** A teacher that is computed, or where there is a cache read from it; answers that a student wrote are never kept. */
export function teacherOf(
  model: KdModel,
  { cache, topK, temperature }: { cache?: TeacherCache; topK?: number; temperature: number },
): Teacher {
  return {
    async signal(examples) {
      if (!cache || examples.some(({ isSampled }) => isSampled))
        return { ...(await compute(model, examples, topK, temperature)), temperature };
      const outputs = await cache.outputs(
        examples.map(({ key }) => key),
        async (missing) => {
          const wanted = missing.map((i) => examples[i]!);
          return perExample(await compute(model, wanted, topK, temperature), wanted.length);
        },
      );
      return { ...together(outputs), temperature };
    },
  };
}

/** A signal as tensors: all logits; beside them what was kept where it was not all. */
export function signalTensors(signal: TeacherSignal): { teacher: tf.Tensor2D; sparse?: SparseTeacher } {
  const { points, columns, kept, values, indices, tail, temperature } = signal;
  const numbers = tf.tensor2d(values, [points, kept]);
  if (!indices) return { teacher: numbers };
  const sparse = {
    indices: tf.tensor2d(indices, [points, kept], "int32"),
    logProbs: numbers,
    tail: tf.tensor1d(tail!),
    vocabulary: columns,
    temperature,
  };
  // Logits whose softmax at the temperature is the distribution that was kept.
  return { teacher: tf.mul(temperature, denseTeacher(sparse)), sparse };
}
