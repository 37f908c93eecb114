import type * as tf from "@tensorflow/tfjs-core";
import { type KernelName, kernelIds } from "./kernel-ids.ts";
import { kernelBinaries } from "./kernels.generated.ts";

/** What is used of TensorFlow.js' wasm backend; its module is undocumented, so everything is checked before use. */
export interface WasmBackend extends tf.KernelBackend {
  incRef(id: tf.DataId): void;
  makeOutput(shape: number[], dtype: string): tf.TensorInfo;
  dataIdMap: { get(id: tf.DataId): { id: number; memoryOffset: number | null } };
  wasm: {
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    /** Where the build without threads has its memory, and where the one with threads has it. */
    asm?: { memory?: WebAssembly.Memory };
    wasmMemory?: WebAssembly.Memory;
  };
}

/** A float argument, which has other bits than the integer of the same value. */
export interface FloatArgument {
  float: number;
}

export const float = (value: number): FloatArgument => ({ float: value });

interface Exports {
  runAlone(kernel: number, args: number, tasks: number): void;
  runShared(control: number, kernel: number, args: number, tasks: number): number;
  awaitShared(control: number, tasks: number): number;
}

/** What the last two tell. */
const shared = { lost: 0, done: 1, waiting: 2 } as const;

/** Threads that help: what a host starts, given the module, its memory and where they find their work. */
export interface Helpers {
  /** All threads, the calling one included. */
  threads: number;
  /** Milliseconds that one of them may take for a task before it is taken for dead; default 30,000. */
  patience?: number;
}

export type StartHelpers = (
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  control: number,
) => Helpers;

export interface KernelModule {
  readonly threads: number;
  readonly fused: boolean;
  /** Runs a kernel's tasks; arguments are pointers and integers, or floats. */
  run(kernel: KernelName, args: readonly (number | FloatArgument)[], tasks: number): void;
  /** Where a tensor's numbers are. */
  pointer(info: tf.TensorInfo): number;
  output(shape: number[], dtype?: string): tf.TensorInfo;
  /** Memory for the length of one kernel; the same place each time, grown when needed. */
  scratch(purpose: "packed" | "worker" | "values" | "partial" | "decoder", bytes: number): number;
  float64(pointer: number, count: number): Float64Array;
  /** A tensor of one number. */
  scalar(value: number): tf.TensorInfo;
}

const argumentSlots = 24;
/** Tasks from which on it is worth waking the others. */
const tasksWorthSharing = 2;

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Instantiates the kernels on the backend's own memory, with fused multiply-add where the engine has it.
 *
 * @throws when the backend's memory is not where this version of TensorFlow.js has it
 */
export function openKernelModule(backend: WasmBackend, startHelpers?: StartHelpers): KernelModule {
  const { wasm } = backend;
  const memory = wasm.asm?.memory ?? wasm.wasmMemory;
  if (!(memory instanceof WebAssembly.Memory) || typeof wasm._malloc !== "function")
    throw new Error("this TensorFlow.js wasm backend does not show its memory");
  const isShared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const variants = kernelBinaries[isShared ? "shared" : "unshared"];
  const fusedBinary = decode(variants.fused);
  const fused = WebAssembly.validate(fusedBinary);
  const module = new WebAssembly.Module(fused ? fusedBinary : decode(variants.plain));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { runAlone, runShared, awaitShared } = exports as unknown as Exports;

  const outOfMemory = (bytes: number): Error =>
    new Error(
      `The wasm backend is out of memory: ${bytes} more bytes are needed and ${memory.buffer.byteLength} are in use, ` +
        "of at most 4 GiB. Use smaller batches or a smaller chunk of the head.",
    );
  const allocate = (bytes: number): number => {
    // Signed, and so negative above 2 GiB.
    const pointer = wasm._malloc(bytes) >>> 0;
    if (pointer === 0) throw outOfMemory(bytes);
    return pointer;
  };
  const args = allocate(4 * argumentSlots);
  const control = allocate(64);
  let integers = new Int32Array(memory.buffer);
  let floats = new Float32Array(memory.buffer);
  const refresh = (): void => {
    if (integers.buffer === memory.buffer) return;
    integers = new Int32Array(memory.buffer);
    floats = new Float32Array(memory.buffer);
  };
  refresh();
  integers.fill(0, control >>> 2, (control >>> 2) + 16);
  const helpers = isShared ? startHelpers?.(module, memory, control) : undefined;
  let threads = helpers?.threads ?? 1;
  const patience = helpers?.patience ?? 30_000;
  /** Whether every task was done; a worker killed from outside tells nothing, so waiting has an end. */
  const allDone = (kernel: KernelName, tasks: number): boolean => {
    let state = runShared(control, kernelIds[kernel], args, tasks);
    let waited = 0;
    let looked = performance.now();
    while (state === shared.waiting && waited < patience) {
      state = awaitShared(control, tasks);
      const now = performance.now();
      // A machine that slept meanwhile has not waited for all that time.
      waited += Math.min(now - looked, 1000);
      looked = now;
    }
    return state === shared.done;
  };
  const areas = new Map<string, { pointer: number; bytes: number }>();
  const pointer = (info: tf.TensorInfo): number => {
    const { memoryOffset } = backend.dataIdMap.get(info.dataId);
    if (memoryOffset === null) throw new Error("a tensor of texts reached a numeric kernel");
    return memoryOffset;
  };
  return {
    get threads() {
      return threads;
    },
    fused,
    run(kernel, values, tasks) {
      if (tasks <= 0) return;
      refresh();
      const base = args >>> 2;
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!;
        if (typeof value === "number") integers[base + i] = value;
        else floats[base + i] = value.float;
      }
      // What a kernel is not given is nothing, never what the one before it was given.
      integers.fill(0, base + values.length, base + argumentSlots);
      if (threads === 1 || tasks < tasksWorthSharing) return runAlone(kernelIds[kernel], args, tasks);
      let done = false;
      try {
        done = allDone(kernel, tasks);
      } finally {
        // Whoever is left may be amid a task of this job: they must not be given another.
        if (!done) threads = 1;
      }
      if (!done)
        throw new Error(`A worker thread was lost while it ran ${kernel}; one thread goes on alone.`);
    },
    pointer,
    output(shape, dtype = "float32") {
      const info = backend.makeOutput(shape, dtype);
      // The backend does not look, and would write over its own data at address 0.
      const bytes = 4 * shape.reduce((product, size) => product * size, 1);
      if (bytes > 0 && pointer(info) === 0) throw outOfMemory(bytes);
      return info;
    },
    scratch(purpose, bytes) {
      const area = areas.get(purpose);
      if (area && area.bytes >= bytes) return area.pointer;
      if (area) wasm._free(area.pointer);
      areas.delete(purpose);
      // Sixteen bytes of room, so that vectors can begin at a multiple of sixteen.
      const fresh = allocate(bytes + 16);
      areas.set(purpose, { pointer: fresh, bytes });
      return fresh;
    },
    float64: (at, count) => new Float64Array(memory.buffer, at, count),
    scalar(value) {
      const out = backend.makeOutput([], "float32");
      refresh();
      floats[pointer(out) >>> 2] = value;
      return out;
    },
  };
}
