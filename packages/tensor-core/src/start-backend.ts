import * as tf from "@tensorflow/tfjs-core";
import { BackendError, type BackendReport, firstLine } from "./backend-report.ts";

/** In the order in which `auto` tries them. */
const names = ["webgpu", "wasm", "cpu"] as const;

/** A backend that runs in browsers. */
export type PortableBackend = (typeof names)[number];

export interface StartOptions {
  /** One to force, or `auto` (the default). */
  backend?: PortableBackend | "auto";
  /** Threads of the wasm backend where memory can be shared; default: as many as there are processors. */
  threads?: number;
  /** Imports the package of a backend when its turn comes, so that what is not needed is never downloaded. */
  load?: Partial<Record<PortableBackend, () => Promise<unknown>>>;
}

/**
 * Starts the best backend that the page has and that works, or the one asked for: webgpu, wasm (with this package's kernels, and with
 * threads where the page is cross-origin isolated), cpu. A backend is there when its package was imported or `load` imports it.
 *
 * In Node, `startBackend` of `@fdiv/tensor-core/node` finds packages by itself and knows of more.
 *
 * @throws BackendError when none works, or not the one asked for
 */
export async function startBackend(options: StartOptions = {}): Promise<BackendReport<PortableBackend>> {
  const { backend: wanted = "auto", load = {} } = options;
  if (wanted !== "auto" && !names.includes(wanted))
    throw new BackendError(`There is no backend "${String(wanted)}"; there are auto, ${names.join(", ")}.`);
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256))
    throw new BackendError(`threads: ${threads} is no number of threads.`);
  const passedOver: { backend: PortableBackend; reason: string }[] = [];
  for (const backend of names.filter((name) => wanted === "auto" || name === wanted)) {
    try {
      if (!tf.findBackendFactory(backend)) await load[backend]?.();
      if (!tf.findBackendFactory(backend))
        throw new Error(`import "@tensorflow/tfjs-backend-${backend}", or give load.${backend}`);
      const started = await starts[backend](threads);
      return { backend, ...started, passedOver };
    } catch (error) {
      passedOver.push({ backend, reason: firstLine(error) });
    }
  }
  throw new BackendError(
    `The backend "${wanted}" can't start.\n${passedOver.map(({ backend, reason }) => `  ${backend}: ${reason}`).join("\n")}`,
  );
}

async function start(backend: PortableBackend): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error("its backend did not start");
  await tf.ready();
}

const starts: Record<
  PortableBackend,
  (threads: number | undefined) => Promise<{ detail: string; threads: number }>
> = {
  async webgpu() {
    await start("webgpu");
    const { adapterInfo } = tf.backend() as unknown as {
      adapterInfo?: { vendor?: string; architecture?: string };
    };
    const device = [adapterInfo?.vendor, adapterInfo?.architecture].filter(Boolean).join(" ");
    return { detail: device || "a WebGPU device", threads: 1 };
  },
  async wasm(asked) {
    await start("wasm");
    const shares = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
    const threads = shares && typeof Worker === "function" ? (asked ?? navigator.hardwareConcurrency) : 1;
    const unshared = asked !== undefined && asked > threads ? "; the page is not cross-origin isolated" : "";
    try {
      // Imported when it is needed: the kernels are a quarter of a megabyte.
      const [{ attachWasmKernels }, { webWorkers }] = await Promise.all([
        import("./wasm/index.ts"),
        import("./wasm/web-workers.ts"),
      ]);
      const kernels = attachWasmKernels(tf.backend(), webWorkers(threads));
      const { fused } = kernels;
      const shown = `${kernels.threads} thread${kernels.threads === 1 ? "" : "s"}`;
      return {
        detail: `${shown}, ${fused ? "fused kernels" : "kernels without fused multiply-add"}${unshared}`,
        threads: kernels.threads,
      };
    } catch (error) {
      return { detail: `generic kernels (${firstLine(error)})${unshared}`, threads: 1 };
    }
  },
  async cpu() {
    await start("cpu");
    return { detail: "plain JavaScript, for tests and tiny models only", threads: 1 };
  },
};
