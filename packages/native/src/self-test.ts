import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { lastLines, NativeError } from "./native-error.ts";
import { operationsVersion } from "./operations-version.ts";
import { runCommand } from "./run-command.ts";

/** What a child process found out that loaded an installation and computed with it. */
export interface SelfTestReport {
  tensorflow: string;
  /** Whether it computes on a GPU. */
  gpu: boolean;
  /** Whether fdiv's own operations are loaded. */
  operations: boolean;
  node: string;
  loadMilliseconds: number;
  /** What loading added to the process. */
  residentBytes: number;
  /** Why no GPU is used, where the CUDA build is installed. */
  gpuProblem?: string;
}

/** A file of this package's `runtime` folder. */
export const runtimeFile = (name: string): string =>
  fileURLToPath(new URL(`../runtime/${name}`, import.meta.url));

/** Why TensorFlow found no GPU, from what it wrote while it looked for one. */
export function explainGpu(stderr: string): string {
  const missing = /Could not load dynamic library '([^']+)'/i.exec(stderr)?.[1];
  const cpu = "It computes on the CPU";
  if (missing === "libcuda.so.1")
    return `no NVIDIA GPU visible: libcuda.so.1, which comes with NVIDIA's driver, was not found. ${cpu} until a driver (525 or newer) is there; a container needs --gpus all.`;
  if (missing) return `a library of CUDA could not be loaded: ${missing}. ${cpu}; installing again may help.`;
  const failed = /failed call to cuInit: (.*)/i.exec(stderr)?.[1];
  if (failed) return `no NVIDIA GPU visible: its driver answers "${failed.trim()}". ${cpu}.`;
  return `TensorFlow reports no GPU. ${cpu}.`;
}

/**
 * Loads an installation in a process of its own, multiplies matrices and checks the result.
 *
 * @param node the Node to test with; default: this one
 * @throws NativeError when it does not load or computes wrongly
 */
export async function selfTest(
  folder: string,
  options: { signal?: AbortSignal; gpu?: boolean; node?: string } = {},
): Promise<SelfTestReport> {
  const core = createRequire(import.meta.url).resolve("@tensorflow/tfjs-core");
  const logging = options.gpu
    ? { TF_CPP_MIN_LOG_LEVEL: "0", TF_CPP_VMODULE: "dso_loader=1,cuda_driver=1" }
    : { TF_CPP_MIN_LOG_LEVEL: "2" };
  const env = { ...process.env, ...logging, NODE_OPTIONS: "" };
  const { code, endedBy, stdout, stderr } = await runCommand(
    options.node ?? process.execPath,
    [runtimeFile("self-test.cjs"), folder, core, String(operationsVersion)],
    { env, timeout: 300_000, signal: options.signal },
  );
  if (code !== 0) {
    const why =
      endedBy === "SIGILL"
        ? "the processor lacks instructions that TensorFlow is built with (AVX on x86-64)"
        : endedBy
          ? `it was ended by ${endedBy}\n${lastLines(stderr)}`
          : lastLines(stderr);
    throw new NativeError(`The installation in ${folder} does not work: ${why}`);
  }
  const report = JSON.parse(lastLines(stdout, 1)) as SelfTestReport;
  return options.gpu && !report.gpu ? { ...report, gpuProblem: explainGpu(stderr) } : report;
}
