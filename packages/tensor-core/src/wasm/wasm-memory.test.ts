import "@tensorflow/tfjs";
import { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, expect, it } from "vitest";
import { activationKernel } from "../activation.ts";
import { squaredNormKernel } from "../clip.ts";
import { linearNoBiasKernel } from "../linear.ts";
import { kernelPool } from "../node/kernel-pool.ts";
import { startWasm } from "../node/wasm-threads.ts";
import { rmsNormGradKernel } from "../rms-norm.ts";
import { attachWasmKernels } from "./index.ts";
import type { WasmBackend } from "./module.ts";

beforeEach(async () => {
  await startWasm({ threads: 2 });
});

const backend = () => tf.backend() as unknown as WasmBackend;

/** Takes addresses; memory that is never touched costs none. */
function reserve(gibibytes: number): void {
  for (let i = 0; i < 4 * gibibytes; i++) backend().makeOutput([1 << 26], "float32");
}

it("computes above 2 GiB, where addresses look negative", () => {
  reserve(2.25);
  const x = tf.ones([70, 100]);
  const out = squaredNormKernel({ x }, {})[0]!;
  expect(backend().dataIdMap.get(out.dataId).memoryOffset).toBeGreaterThan(2 ** 31);
  expect(out.dataSync()[0]).toBe(7000);
  const weight = tf.ones([9, 100]);
  const attributes = { transposeWeight: true, activation: "none", keepPreactivation: false } as const;
  expect(new Set(linearNoBiasKernel({ x, weight }, attributes)[0]!.dataSync())).toEqual(new Set([100]));
  const norm = { dy: x, x, weight: tf.ones([100]), inverseRms: tf.ones([70]) };
  expect(new Set(rmsNormGradKernel(norm, { epsilon: 0 })[1]!.dataSync())).toEqual(new Set([70]));
});

it("says that memory is out instead of writing over the backend's own", () => {
  const x = tf.ones([1 << 20]);
  reserve(3.75);
  const exhaust = () => {
    for (let i = 0; i < 100; i++) activationKernel({ x }, { activation: "relu" });
  };
  expect(exhaust).toThrow(/out of memory: 4194304 more bytes/);
});

it("goes on alone when a worker is lost amid a task", () => {
  const module = attachWasmKernels(tf.backend(), kernelPool(2));
  const beyond = 0xffff_fff0;
  const rows = module.pointer(module.output([640, 4]));
  const ids = module.pointer(tf.zeros([640], "int32"));
  expect(module.threads).toBe(2);
  expect(() => module.run("gather", [beyond, ids, rows, 640, 4], 20)).toThrow();
  expect(module.threads).toBe(1);
  expect(squaredNormKernel({ x: tf.ones([40_000]) }, {})[0]!.dataSync()[0]).toBe(40_000);
});

it("goes on alone when a worker is killed from outside amid a task", async () => {
  // Claims one task, as a worker does, and is gone without a word.
  const source = `
    const { workerData: { memory, control } } = require("node:worker_threads");
    const words = new Int32Array(memory.buffer);
    const remaining = (control >>> 2) + 1;
    Atomics.store(words, (control >>> 2) + 15, 1);
    while (Atomics.load(words, remaining) <= 0) ;
    Atomics.sub(words, remaining, 1);
    process.exit();
  `;
  let control = 0;
  let memory: WebAssembly.Memory | undefined;
  const module = attachWasmKernels(tf.backend(), (_module, shared, at) => {
    control = at;
    memory = shared;
    new Worker(source, { eval: true, workerData: { memory: shared, control: at } });
    return { threads: 2, patience: 300 };
  });
  const started = () => Atomics.load(new Int32Array(memory!.buffer), (control >>> 2) + 15);
  while (started() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const x = tf.ones([400_000]);
  expect(() => {
    for (let i = 0; i < 1000; i++) squaredNormKernel({ x }, {});
  }).toThrow(/A worker thread was lost while it ran squares; one thread goes on alone/);
  expect(module.threads).toBe(1);
  expect(squaredNormKernel({ x }, {})[0]!.dataSync()[0]).toBe(400_000);
});
