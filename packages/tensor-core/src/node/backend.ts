import { createRequire } from "node:module";
import os from "node:os";
import nodeUtil from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { BackendError, type BackendReport, firstLine } from "../backend-report.ts";
import { nativeInstallation, startInstallation } from "./native-installation.ts";
import { startWasm } from "./wasm-threads.ts";

/** In the order in which `auto` tries them. */
export const backendNames = ["tensorflow", "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

export interface BackendOptions {
  /** One to force, or `auto`; default: `FDIV_BACKEND`, else `auto`. */
  backend?: string;
  /** Threads of the wasm backend; default: `FDIV_THREADS`, else every core. */
  threads?: number;
}

interface Candidate {
  backend: BackendName;
  /** What is looked for: a package, or what a package has installed. */
  package: string;
  remedy: string;
  /** Default: whether the package can be resolved from here. */
  isInstalled?(): boolean;
  start(threads: number): Promise<{ detail: string; threads: number }>;
}

const require = createRequire(import.meta.url);
const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version;

/** TensorFlow.js' Node binding calls what newer Node versions removed from `util`. */
function restoreRemovedUtil(): void {
  const target = nodeUtil as unknown as Record<string, unknown>;
  target.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  target.isArray ??= Array.isArray;
}

async function startNative(name: string, wantsGpu: boolean): Promise<{ detail: string; threads: number }> {
  restoreRemovedUtil();
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  const library = (await import(name)) as { default?: NativeLibrary } & NativeLibrary;
  if (!(await tf.setBackend("tensorflow"))) throw new Error("its backend did not start");
  await tf.ready();
  const backend = tf.backend() as unknown as {
    isUsingGpuDevice?: boolean;
    binding?: { TF_Version?: string };
  };
  if (wantsGpu && !backend.isUsingGpuDevice) throw new Error("TensorFlow found no GPU");
  const device = backend.isUsingGpuDevice ? "GPU" : "CPU";
  const native = backend.binding?.TF_Version ?? (library.default ?? library).version?.["tfjs-node"] ?? "?";
  return {
    detail: `${device}, ${name} ${versionOf(name)}, libtensorflow ${native}`,
    threads: os.availableParallelism(),
  };
}

interface NativeLibrary {
  version?: Record<string, string>;
}

const candidates: Candidate[] = [
  {
    backend: "tensorflow",
    package: "@tensorflow/tfjs-node-gpu",
    remedy: "npm i @tensorflow/tfjs-node-gpu (NVIDIA card, CUDA; Linux or Windows)",
    start: () => startNative("@tensorflow/tfjs-node-gpu", true),
  },
  {
    backend: "tensorflow",
    package: "@fdiv/native",
    remedy: "npx @fdiv/native install (once a machine, 200 MB; --gpu on Linux with an NVIDIA card)",
    isInstalled: () => nativeInstallation() !== undefined,
    start: () => startInstallation(nativeInstallation()!),
  },
  {
    backend: "tensorflow",
    package: "@tensorflow/tfjs-node",
    remedy: "npm i @tensorflow/tfjs-node (downloads libtensorflow)",
    start: () => startNative("@tensorflow/tfjs-node", false),
  },
  {
    backend: "webgpu",
    package: "@tensorflow/tfjs-backend-webgpu",
    remedy: "npm i @tensorflow/tfjs-backend-webgpu webgpu (any graphics card)",
    start: startWebGpu,
  },
  {
    backend: "wasm",
    package: "@tensorflow/tfjs-backend-wasm",
    remedy: "npm i @tensorflow/tfjs-backend-wasm",
    async start(threads) {
      const started = await startWasm({ threads });
      const shown = `${started.threads} thread${started.threads === 1 ? "" : "s"}`;
      const kernels = {
        fused: "fused kernels",
        plain: "kernels without fused multiply-add",
        generic: "generic kernels",
      };
      const detail = `${shown}, ${kernels[started.kernels]}, @tensorflow/tfjs-backend-wasm ${versionOf("@tensorflow/tfjs-backend-wasm")}`;
      return { detail: started.reason ? `${detail}; ${started.reason}` : detail, threads: started.threads };
    },
  },
  {
    backend: "cpu",
    package: "@tensorflow/tfjs-backend-cpu",
    remedy: "npm i @tensorflow/tfjs",
    async start() {
      if (!tf.findBackendFactory("cpu")) await import("@tensorflow/tfjs-backend-cpu");
      if (!(await tf.setBackend("cpu"))) throw new Error("its backend did not start");
      await tf.ready();
      // It would advertise TensorFlow.js' Node binding; what was found, and what else there is, `fdiv doctor` says.
      (tf.backend() as unknown as { firstUse: boolean }).firstUse = false;
      return { detail: "plain JavaScript, for tests and tiny models only", threads: 1 };
    },
  },
];

async function startWebGpu(): Promise<{ detail: string; threads: number }> {
  const navigator = (globalThis as { navigator?: object }).navigator ?? {};
  if (!("gpu" in navigator)) {
    const name = "webgpu";
    const dawn = (await import(name)) as { create(options: string[]): unknown; globals: object };
    // TensorFlow.js looks for these while it is imported.
    Object.assign(globalThis, dawn.globals);
    Object.defineProperty(navigator, "gpu", { value: dawn.create([]), configurable: true });
    Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  }
  const name = "@tensorflow/tfjs-backend-webgpu";
  await import(name);
  if (!(await tf.setBackend("webgpu"))) throw new Error("no WebGPU adapter was found");
  await tf.ready();
  return { detail: `${name} ${versionOf(name)}`, threads: 1 };
}

function isInstalled({ package: name, isInstalled: check }: Candidate): boolean {
  if (check) return check();
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

function threadsOf(options: BackendOptions): number {
  const text = options.threads ?? process.env.FDIV_THREADS;
  if (text === undefined || text === "") return os.availableParallelism();
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256)
    throw new BackendError(`threads: ${text} is no number of threads.`);
  return threads;
}

/**
 * Starts the best backend that is installed and works, or the one asked for: tensorflow on a GPU, tensorflow on the CPU, webgpu, wasm, cpu.
 *
 * @throws BackendError when the one asked for by option or `FDIV_BACKEND` can't start; it says what to install
 */
export async function startBackend(options: BackendOptions = {}): Promise<BackendReport<BackendName>> {
  const wanted = options.backend ?? (process.env.FDIV_BACKEND || "auto");
  if (wanted !== "auto" && !backendNames.includes(wanted as BackendName))
    throw new BackendError(`There is no backend "${wanted}"; there are auto, ${backendNames.join(", ")}.`);
  const threads = threadsOf(options);
  const tried = candidates.filter(({ backend }) => wanted === "auto" || backend === wanted);
  const passedOver: { backend: BackendName; reason: string; remedy: string }[] = [];
  for (const candidate of tried) {
    const { backend, remedy } = candidate;
    if (!isInstalled(candidate)) {
      passedOver.push({ backend, reason: `${candidate.package} is not installed`, remedy });
      continue;
    }
    try {
      const started = await candidate.start(threads);
      return {
        backend,
        ...started,
        passedOver: passedOver.map(({ backend, reason }) => ({ backend, reason })),
      };
    } catch (error) {
      passedOver.push({ backend, reason: `${candidate.package}: ${firstLine(error)}`, remedy });
    }
  }
  throw new BackendError(
    `The backend "${wanted}" can't start.\n${passedOver.map(({ reason, remedy }) => `  ${reason}. To get it: ${remedy}`).join("\n")}`,
  );
}

export interface BackendProbe {
  backend: BackendName;
  package: string;
  works: boolean;
  /** What was found, or why it does not work. */
  detail: string;
  /** How to get it. */
  remedy: string;
}

/** Tries every backend in turn, as `fdiv doctor` shows; the last one started stays the current one. */
export async function probeBackends(options: BackendOptions = {}): Promise<BackendProbe[]> {
  const probes: BackendProbe[] = [];
  for (const candidate of candidates) {
    const { backend, package: name, remedy, start } = candidate;
    if (!isInstalled(candidate)) {
      probes.push({ backend, package: name, works: false, detail: "not installed", remedy });
      continue;
    }
    try {
      const { detail } = await start(threadsOf(options));
      probes.push({ backend, package: name, works: true, detail, remedy });
    } catch (error) {
      probes.push({ backend, package: name, works: false, detail: firstLine(error), remedy });
    }
  }
  return probes;
}
