import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { dirname, join } from "node:path";
import type { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs-core";
import { attachWasmKernels } from "../wasm/index.ts";
import { allowFusedMultiplyAdd, kernelPool } from "./kernel-pool.ts";

export interface WasmStart {
  /** Threads that the kernels use. */
  threads: number;
  /** Whether the package's own kernels run on it, and with fused multiply-add. */
  kernels: "fused" | "plain" | "generic";
  /** Why there is one thread though more were asked. */
  reason?: string;
}

/** What TensorFlow.js' own start-up puts on the module it instantiates. */
interface WasmModule {
  cwrap(name: string, result: string | null, types: (string | null)[] | null): (...args: number[]) => number;
  tfjs: Record<string, unknown>;
}

interface WasmPackage {
  BackendWasm: new (module: WasmModule) => tf.KernelBackend;
  setWasmPaths(path: string): void;
  setThreadsCount(count: number): void;
}

const kernelTable = {
  init: ["init", null, []],
  initWithThreadsCount: ["init_with_threads_count", null, ["number"]],
  getThreadsCount: ["get_threads_count", "number", []],
  registerTensor: ["register_tensor", null, ["number", "number", "number"]],
  disposeData: ["dispose_data", null, ["number"]],
  dispose: ["dispose", null, []],
} as const;

/**
 * Starts TensorFlow.js' wasm backend in Node, with threads, which TensorFlow.js itself turns off there.
 *
 * Its worker is handed to a browser as a blob; here it becomes a file. Whatever fails, the backend with one thread is started, and
 * `reason` says why.
 *
 * @throws when `@tensorflow/tfjs-backend-wasm` is not installed or can't start at all
 */
export async function startWasm({ threads }: { threads: number }): Promise<WasmStart> {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"));
  const library = require("@tensorflow/tfjs-backend-wasm") as WasmPackage;
  let reason: string | undefined;
  if (threads > 1) {
    try {
      await startThreaded(require, folder, library, threads);
      return { threads, ...attach(threads) };
    } catch (error) {
      reason = `threads did not start: ${(error as Error).message}`;
    }
  }
  library.setWasmPaths(`${join(folder, "wasm-out")}/`);
  await startRegistered();
  const attached = attach(1);
  reason = [reason, attached.reason].filter(Boolean).join("; ");
  return { threads: 1, kernels: attached.kernels, ...(reason && { reason }) };
}

/** Puts the package's kernels on the backend that was started; without them the generic ones do, slowly. */
function attach(threads: number): Pick<WasmStart, "kernels" | "reason"> {
  allowFusedMultiplyAdd();
  try {
    const { fused } = attachWasmKernels(tf.backend(), kernelPool(threads));
    return { kernels: fused ? "fused" : "plain" };
  } catch (error) {
    return { kernels: "generic", reason: `the fast kernels did not start: ${(error as Error).message}` };
  }
}

async function startThreaded(
  require: NodeJS.Require,
  folder: string,
  library: WasmPackage,
  threads: number,
): Promise<void> {
  const out = join(folder, "wasm-out");
  const factoryFile = join(out, "tfjs-backend-wasm-threaded-simd.js");
  const factory = require(factoryFile) as (options: object) => Promise<WasmModule>;
  const { wasmWorkerContents } = require(join(out, "tfjs-backend-wasm-threaded-simd.worker.js")) as {
    wasmWorkerContents: string;
  };
  const scratch = mkdtempSync(join(os.tmpdir(), "fdiv-wasm-"));
  process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const workerFile = join(scratch, "worker.cjs");
  // The string was written to be evaluated once more; a file is not.
  writeFileSync(workerFile, wasmWorkerContents.replaceAll("\n", "\\n"));
  const start = () =>
    factory({
      locateFile: (file: string) => (file.endsWith(".worker.js") ? workerFile : join(out, file)),
      mainScriptUrlOrBlob: factoryFile,
    });
  const module = await withIdleWorkers(require, () => withDoubledCores(threads, start));
  module.tfjs = Object.fromEntries(
    Object.entries(kernelTable).map(([name, [symbol, result, types]]) => [
      name,
      module.cwrap(symbol, result, [...types]),
    ]),
  );
  library.setThreadsCount(threads);
  const backend = new library.BackendWasm(module);
  tf.removeBackend("wasm");
  tf.registerBackend("wasm", () => backend, 5);
  await startRegistered();
}

async function startRegistered(): Promise<void> {
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js could not start its wasm backend");
  await tf.ready();
}

/** Workers that wait for work must not keep the process alive; the factory takes its `Worker` from this module once. */
async function withIdleWorkers<T>(require: NodeJS.Require, start: () => Promise<T>): Promise<T> {
  const library = require("node:worker_threads") as { Worker: typeof Worker };
  const { Worker: Real } = library;
  library.Worker = class extends Real {
    constructor(...args: ConstructorParameters<typeof Real>) {
      super(...args);
      super.unref();
    }
    /** The binary takes a reference again for each thread it starts. */
    override ref(): void {}
  };
  // Until the workers have answered nothing else may be keeping the event loop alive.
  const alive = setInterval(() => undefined, 1e6);
  try {
    return await start();
  } finally {
    clearInterval(alive);
    library.Worker = Real;
  }
}

/** The binary uses at most half of the cores that it sees while it starts; it is shown twice those wanted. */
async function withDoubledCores<T>(threads: number, start: () => Promise<T>): Promise<T> {
  const real = os.cpus;
  const shown = Array.from({ length: 2 * threads }, (_, i) => real()[i % real().length]!);
  os.cpus = () => shown;
  try {
    return await start();
  } finally {
    os.cpus = real;
  }
}
