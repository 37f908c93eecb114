import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import type { StartHelpers } from "../wasm/index.ts";

/** Node 20 has fused multiply-add behind a flag, which newer ones ignore; set before the first module is compiled. */
export function allowFusedMultiplyAdd(): void {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
}

// As text, so that no bundler and no loader has to find a file.
const source = `
const { workerData } = require("node:worker_threads");
const { module, memory, control, index } = workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
try {
  exports.workerLoop(control, index);
} catch (error) {
  Atomics.store(new Int32Array(memory.buffer), (control >>> 2) + 6, 1);
  throw error;
}
`;

/** Threads for the kernels: all but one are workers, which sleep while there is nothing to do and keep no process alive. */
export function kernelPool(threads: number): StartHelpers {
  return (module, memory, control) => {
    for (let index = 1; index < threads; index++) {
      const worker = new Worker(source, { eval: true, workerData: { module, memory, control, index } });
      worker.unref();
      // A worker that could not start is missed, not mourned: its share is done by the others.
      worker.on("error", () => undefined);
    }
    return { threads };
  };
}
