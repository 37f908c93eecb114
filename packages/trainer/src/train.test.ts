import "@tensorflow/tfjs";
import { adamW } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type RunStore, type TrainOptions, type TrainState, train } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A store that keeps in memory what a directory would. */
function memoryStore() {
  const evaluations: [number, Record<string, number>][] = [];
  const rows: number[] = [];
  const kinds: string[] = [];
  let saved: TrainState | undefined;
  const store: RunStore = {
    resume: async () => structuredClone(saved),
    checkpoint: async (state, kind) => {
      kinds.push(`${kind} ${state.step}`);
      if (kind === "regular") saved = JSON.parse(JSON.stringify(state)) as TrainState;
    },
    restoreBest: async () => false,
    row: (row) => void rows.push(row.step),
    evaluation: (step, metrics) => void evaluations.push([step, metrics]),
    failure: () => undefined,
  };
  return { store, evaluations, rows, kinds, saved: () => saved };
}

/** Trains one weight towards zero. */
async function run(options: Partial<TrainOptions<number>> = {}) {
  const weight = tf.tidy(() => tf.variable(tf.ones([1]), true));
  const optimizer = adamW();
  try {
    return await train<number>({
      parameters: new Map([["weight", weight]]),
      optimizer,
      batches: { stepsPerEpoch: 5, batch: () => [1] },
      loss: () => ({ loss: tf.sum(tf.square(weight)) as tf.Scalar }),
      examples: () => 1,
      steps: 10,
      learningRate: 0.01,
      ...options,
    });
  } finally {
    weight.dispose();
    optimizer.dispose();
  }
}

/** An evaluation that gives one figure after the other. */
const figures = (values: number[]) => {
  let calls = 0;
  return async () => ({ m: values[calls++] ?? Number.NaN });
};

describe("the best evaluation", () => {
  it("is never one that is no number", async () => {
    const best = { metric: "m", mode: "max" as const };
    const rising = await run({
      evaluateEvery: 2,
      best,
      evaluate: figures([Number.NaN, 1, Number.NaN, 3, 2, 0]),
    });
    expect(rising.best).toEqual({ step: 6, value: 3 });
    const never = await run({ best, evaluate: figures([]) });
    expect(never.best).toBeUndefined();
    const falling = await run({
      evaluateEvery: 5,
      best: { metric: "m", mode: "min" },
      evaluate: figures([Number.NaN, 4, 2]),
    });
    expect(falling.best).toEqual({ step: 10, value: 2 });
  });

  it("is told from a saved one that JSON made null", async () => {
    const { store } = memoryStore();
    const state = { step: 1, evaluationsWithoutGain: 0, evaluatedAt: 1, best: { step: 0, value: null } };
    const { best } = await run({
      steps: 2,
      resume: true,
      store: { ...store, resume: async () => state as unknown as TrainState },
      best: { metric: "m", mode: "max" },
      evaluate: figures([-1]),
    });
    expect(best).toEqual({ step: 2, value: -1 });
  });

  it("must be among what is evaluated", async () => {
    await expect(run({ best: { metric: "accuracy", mode: "max" }, evaluate: figures([1]) })).rejects.toThrow(
      /no "accuracy"; it returned m\./,
    );
  });
});

describe("a finished run", () => {
  it.each([
    ["a multiple of checkpointEvery", 5],
    ["no multiple of it", 4],
  ])("adds nothing when resumed, its steps %s", async (_, checkpointEvery) => {
    const memory = memoryStore();
    const options = {
      store: memory.store,
      checkpointEvery,
      evaluateEvery: 4,
      best: { metric: "m", mode: "max" as const },
    };
    const first = await run({ ...options, evaluate: figures([0, 1, 2, 3]) });
    expect(first).toMatchObject({ steps: 10, stopped: "done", best: { step: 10, value: 3 } });
    expect(memory.evaluations.map(([step]) => step)).toEqual([0, 4, 8, 10]);
    const kinds = [...memory.kinds];
    const again = await run({ ...options, resume: true, evaluate: () => Promise.reject(new Error("again")) });
    expect(again).toMatchObject({ steps: 10, stopped: "done", best: { step: 10, value: 3 } });
    expect(memory.evaluations).toHaveLength(4);
    expect(memory.rows).toHaveLength(10);
    expect(memory.kinds).toEqual(kinds);
  });
});

describe("patience", () => {
  it("stops after that many evaluations without gain, and stays stopped when resumed", async () => {
    const memory = memoryStore();
    const options = {
      store: memory.store,
      steps: 50,
      evaluateEvery: 2,
      patience: 2,
      best: { metric: "m", mode: "max" as const },
    };
    const first = await run({ ...options, evaluate: figures([1, 2, 0, 0, 5]) });
    expect(first).toMatchObject({ steps: 6, stopped: "no-gain", best: { step: 2, value: 2 } });
    const lines = [memory.rows.length, memory.evaluations.length, memory.kinds.length];
    for (let i = 0; i < 2; i++)
      expect(await run({ ...options, resume: true, evaluate: figures([9]) })).toMatchObject({
        steps: 6,
        stopped: "no-gain",
      });
    expect([memory.rows.length, memory.evaluations.length, memory.kinds.length]).toEqual(lines);
    const patient = await run({ ...options, resume: true, patience: 3, evaluate: figures([9, 0, 0, 0]) });
    expect(patient).toMatchObject({ steps: 14, stopped: "no-gain", best: { step: 8, value: 9 } });
  });
});

describe("an abort", () => {
  it("finishes the step at hand, saves, and the run goes on from there", async () => {
    const memory = memoryStore();
    const controller = new AbortController();
    const first = await run({
      store: memory.store,
      signal: controller.signal,
      evaluateEvery: 4,
      evaluate: figures([0, 1, 2, 3]),
      callbacks: {
        onStep({ step }) {
          if (step === 3) controller.abort();
        },
      },
    });
    expect(first).toMatchObject({ steps: 3, stopped: "interrupted" });
    expect(memory.saved()).toMatchObject({ step: 3, evaluatedAt: 0 });
    expect(memory.evaluations.map(([step]) => step)).toEqual([0]);
    const second = await run({
      store: memory.store,
      resume: true,
      evaluateEvery: 4,
      evaluate: figures([1, 2, 3]),
    });
    expect(second).toMatchObject({ steps: 10, stopped: "done" });
    expect(memory.rows).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(memory.evaluations.map(([step]) => step)).toEqual([0, 4, 8, 10]);
  });

  it("before the start trains nothing", async () => {
    const { rows, store } = memoryStore();
    const result = await run({ store, signal: AbortSignal.abort() });
    expect(result).toMatchObject({ steps: 0, stopped: "interrupted" });
    expect(rows).toEqual([]);
  });
});

describe("a task's own state", () => {
  it("is in every checkpoint and is given back on resume", async () => {
    const memory = memoryStore();
    let drawn = 0;
    const options = {
      store: memory.store,
      batches: { stepsPerEpoch: 5, batch: () => [drawn++] },
      checkpointEvery: 4,
      taskState: {
        save: () => ({ drawn }),
        load: (state: unknown) => {
          drawn = (state as { drawn: number }).drawn;
        },
      },
    };
    await run({ ...options, steps: 4 });
    expect(memory.saved()!.task).toEqual({ drawn: 4 });
    drawn = -1;
    await run({ ...options, steps: 6, resume: true });
    expect(memory.saved()!.task).toEqual({ drawn: 6 });
  });

  it("is not asked for by a run that starts anew", async () => {
    const load = () => {
      throw new Error("nothing to load");
    };
    await run({ store: memoryStore().store, resume: true, taskState: { save: () => 1, load } });
  });
});

describe("callbacks", () => {
  it("hear of every step, evaluation, checkpoint and of the end", async () => {
    const heard: string[] = [];
    const result = await run({
      steps: 4,
      evaluateEvery: 2,
      checkpointEvery: 3,
      best: { metric: "m", mode: "max" },
      evaluate: figures([1, 0, 2]),
      callbacks: {
        onStart: ({ step, steps, resumed }) => void heard.push(`start ${step}/${steps} ${resumed}`),
        onStep: ({ step }) => void heard.push(`step ${step}`),
        onEvaluation: (step, { m }) => void heard.push(`evaluation ${step} ${m}`),
        onCheckpoint: (step, kind) => void heard.push(`${kind} ${step}`),
        onEnd: (end) => void heard.push(`end ${end?.steps}`),
      },
    });
    expect(heard).toEqual([
      "start 0/4 false",
      "evaluation 0 1",
      "best 0",
      "step 1",
      "step 2",
      "evaluation 2 0",
      "step 3",
      "regular 3",
      "step 4",
      "evaluation 4 2",
      "best 4",
      "regular 4",
      "end 4",
    ]);
    expect(result.lastRow?.step).toBe(4);
  });

  it("hear of the end of a run that fails, without a result; what it failed of is thrown, whatever the store does", async () => {
    let ends: unknown[] = [];
    const failing = {
      examples: () => 0,
      callbacks: { onEnd: (result: unknown) => void ends.push(result) },
    };
    await expect(run(failing)).rejects.toThrow(/holds no example/);
    expect(ends).toEqual([undefined]);
    ends = [];
    const store = { ...memoryStore().store, failure: () => Promise.reject(new Error("disk")) };
    await expect(run({ ...failing, store })).rejects.toThrow(/holds no example/);
    expect(ends).toEqual([undefined]);
  });
});

it("keeps the memory of a long run flat", async () => {
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--expose-gc");
  const collect = (await import("node:vm")).runInNewContext("gc") as () => void;
  const used: { heap: number; tensors: number; bytes: number }[] = [];
  const measureAt = new Set([3000, 7000, 13_000]);
  await run({
    steps: 13_000,
    callbacks: {
      onStep({ step }) {
        if (!measureAt.has(step)) return;
        collect();
        const { numTensors: tensors, numBytes: bytes } = tf.memory();
        used.push({ heap: process.memoryUsage().heapUsed, tensors, bytes });
      },
    },
  });
  const [first, second, third] = used;
  for (const { tensors, bytes } of used) expect([tensors, bytes]).toEqual([first!.tensors, first!.bytes]);
  // A leak grows the heap step by step, in both stretches; what the engine compiles comes in one of them, whenever it does.
  const bytesAStep = [(second!.heap - first!.heap) / 4000, (third!.heap - second!.heap) / 6000];
  expect(Math.min(...bytesAStep)).toBeLessThan(30);
});

describe("observations", () => {
  it("come before the first step, at their own pace and at the end, once each, also over a resume", async () => {
    const observed = async (store: ReturnType<typeof memoryStore>, steps: number[]) => {
      const observe = async (step: number) => {
        steps.push(step);
        return { "samples/entropy": step };
      };
      return { observe, observeEvery: 3, evaluateEvery: 4, checkpointEvery: 3, store: store.store };
    };
    const [whole, parts] = [memoryStore(), memoryStore()];
    const [atWhole, atParts]: [number[], number[]] = [[], []];
    await run(await observed(whole, atWhole));
    expect(atWhole).toEqual([0, 3, 6, 9, 10]);
    expect(whole.evaluations.map(([step]) => step)).toEqual(atWhole);
    const stop = new AbortController();
    const options = await observed(parts, atParts);
    const callbacks = { onStep: ({ step }: { step: number }) => void (step === 6 && stop.abort()) };
    expect((await run({ ...options, signal: stop.signal, callbacks })).stopped).toBe("interrupted");
    await run({ ...options, resume: true });
    expect(atParts).toEqual(atWhole);
    await run({ ...options, resume: true });
    expect(atParts).toEqual(atWhole);
  });

  it("are no evaluations: they decide nothing", async () => {
    const heard: string[] = [];
    const { best } = await run({
      best: { metric: "m", mode: "max" },
      evaluate: figures([1, 2, 3]),
      observe: async () => ({ m: 9 }),
      callbacks: {
        onEvaluation: (step) => heard.push(`evaluation ${step}`),
        onObservation: (step) => heard.push(`observation ${step}`),
      },
    });
    expect(best).toEqual({ step: 10, value: 3 });
    expect(heard.slice(0, 2)).toEqual(["evaluation 0", "observation 0"]);
  });
});
