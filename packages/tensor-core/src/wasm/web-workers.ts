import type { StartHelpers } from "./module.ts";

// As text, so that no bundler has to find a file.
const source = `
onmessage = ({ data: { module, memory, control, index } }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  try {
    exports.workerLoop(control, index);
  } catch (error) {
    Atomics.store(new Int32Array(memory.buffer), (control >>> 2) + 6, 1);
    throw error;
  }
};
`;

/** Threads for the kernels in a browser: web workers, made of a blob. One that can't start is missed, its share is done by the others. */
export function webWorkers(threads: number): StartHelpers {
  return (module, memory, control) => {
    if (threads < 2) return { threads: 1 };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    for (let index = 1; index < threads; index++) {
      const worker = new Worker(url);
      worker.onerror = (event) => event.preventDefault();
      worker.postMessage({ module, memory, control, index });
    }
    return { threads };
  };
}
