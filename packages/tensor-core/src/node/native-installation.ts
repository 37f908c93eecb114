import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { attachTensorflowKernels, type NativeOperations, operationsVersion } from "../tensorflow/index.ts";

/** What the loader of an installation tells. */
interface Loaded {
  flavour: "cpu" | "gpu";
  tensorflow: string;
  operations?: NativeOperations;
  operationsProblem?: string;
}

/** The versions that `@fdiv/native` installs; another package's folder is never taken for it. */
const versions = "tf2.15.1-tfjs4.22.0";

function cacheFolder(): string {
  const { FDIV_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (FDIV_CACHE) return FDIV_CACHE;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "fdiv");
  if (process.platform === "win32")
    return join(LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "fdiv", "Cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "fdiv");
  return join(homedir(), ".cache", "fdiv");
}

/**
 * The folder of TensorFlow's backend as `npx @fdiv/native install` made it on this machine, the CUDA build first; undefined
 * where there is none. The package itself need not be installed.
 */
export function nativeInstallation(): string | undefined {
  return ["gpu", "cpu"]
    .map((flavour) =>
      join(cacheFolder(), "native", `${flavour}-${versions}-${process.platform}-${process.arch}`),
    )
    .find((folder) => existsSync(join(folder, "installed.json")));
}

/** Loads an installation, starts its backend, and gives it the fused kernels where it has the operations for them. */
export async function startInstallation(folder: string): Promise<{ detail: string; threads: number }> {
  const { load } = createRequire(import.meta.url)(join(folder, "load.cjs")) as {
    load(core: object, operationsVersion: number): Loaded;
  };
  const { tensorflow, operations, operationsProblem } = load(tf, operationsVersion);
  if (!(await tf.setBackend("tensorflow"))) throw new Error("its backend did not start");
  await tf.ready();
  const { isUsingGpuDevice } = tf.backend() as unknown as { isUsingGpuDevice?: boolean };
  const device = isUsingGpuDevice ? "GPU" : "CPU";
  const kernels = attachedKernels(operations, operationsProblem);
  return { detail: `${device}, libtensorflow ${tensorflow}, ${kernels}`, threads: operations?.threads ?? 1 };
}

function attachedKernels(operations: NativeOperations | undefined, problem: string | undefined): string {
  if (!operations) return `generic kernels (${problem ?? "no operations of fdiv's own"})`;
  try {
    attachTensorflowKernels(tf.backend(), operations);
    return "fused kernels";
  } catch (error) {
    return `generic kernels (${(error as Error).message})`;
  }
}
