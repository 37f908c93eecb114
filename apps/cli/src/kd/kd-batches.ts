import type { DropoutOptions } from "@fdiv/models";
import { random } from "@fdiv/tensor-core";
import { type BatchSource, microBatches, shuffledBatches } from "@fdiv/trainer";
import type { Example, KdModel, Layout } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import type { Teacher, TeacherSignal } from "./teacher-signal.ts";

/** One example as each side tokenises it; the same object where they agree. */
export interface Pair {
  mine: Example;
  theirs: Example;
}

export interface KdBatch {
  layout: Layout;
  examples: Example[];
  signal?: TeacherSignal;
  /** 1 at points with a label that somebody wrote. */
  labelled: Float32Array;
  /** What dropout draws by while this is learnt from. */
  dropout?: DropoutOptions;
}

export async function kdBatch(
  pairs: readonly Pair[],
  model: KdModel,
  teacher: Teacher | undefined,
): Promise<KdBatch> {
  const examples = pairs.map(({ mine }) => mine);
  const layout = model.layout(examples);
  return {
    layout,
    examples,
    ...(teacher && { signal: await teacher.signal(pairs.map(({ theirs }) => theirs)) }),
    labelled: Float32Array.from(layout.sequence, (id) => (examples[id]!.isSampled ? 0 : 1)),
  };
}

/**
 * Batches with the teacher's signal beside each micro-batch. In a share of the steps the student writes the answers itself, from its state at
 * that step and a seed of the step's own, so that a resumed run writes the same.
 */
export function kdBatches(
  pairs: readonly Pair[],
  model: KdModel,
  teacher: Teacher | undefined,
  config: KdConfig,
): BatchSource<KdBatch> {
  const { onPolicy, maxTokens, seed, batchSize } = config;
  const limit = config.microBatchTokens ?? Number.POSITIVE_INFINITY;
  const whole = shuffledBatches({
    rows: pairs,
    batchSize,
    seed,
    lengthOf: ({ mine }) => mine.length,
    collate: (rows) => rows,
  });
  const draws = random(seed).fork("on-policy");
  const rate = config.dropout === undefined ? {} : { rate: config.dropout };
  return {
    stepsPerEpoch: whole.stepsPerEpoch,
    async batch(epoch, index) {
      let [rows] = (await whole.batch(epoch, index)) as [Pair[]];
      const step = epoch * whole.stepsPerEpoch + index;
      if (onPolicy > 0 && draws.fork(step).next() < onPolicy) {
        const examples = rows.map(({ mine }) => mine);
        const written = await model.sample!(examples, { seed: `${seed}/${step}`, maxTokens });
        rows = written.map((one) => ({ mine: one, theirs: one }));
      }
      const placed = rows.map((pair, place) => ({ pair, place }));
      const batches: KdBatch[] = [];
      for (const group of microBatches(placed, ({ pair }) => pair.mine.length, limit)) {
        const pairs = group.map(({ pair }) => pair);
        // An example draws by its place in the step's batch, whichever micro-batch it is in.
        const dropout = { seed: `${seed}/${step}`, rows: group.map(({ place }) => place), ...rate };
        batches.push({ ...(await kdBatch(pairs, model, teacher)), dropout });
      }
      return batches;
    },
  };
}
