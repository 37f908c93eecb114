import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { lastLines, NativeError } from "./native-error.ts";
import { runCommand } from "./run-command.ts";

/** What a child process found out that loaded an installation and computed with it. */
export interface SelfTestReport {
  tensorflow: string;
  /** Whether it computes on a GPU. */
  gpu: boolean;
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

function explainGpu(stderr: string): string {
  if (/could not find cuda drivers/i.test(stderr) || /libcuda\.so\.1/.test(stderr))
    return "no NVIDIA GPU visible: libcuda.so.1, which comes with NVIDIA's driver, was not found. It computes on the CPU until the driver (525 or newer) is there; in a container, start it with --gpus all.";
  const failed = /failed call to cuInit: (.*)/i.exec(stderr);
  if (failed)
    return `no NVIDIA GPU visible: the driver answers "${failed[1]!.trim()}". It computes on the CPU.`;
  const missing = /Cannot dlopen some GPU libraries|Could not load dynamic library '([^']+)'/i.exec(stderr);
  if (missing)
    return `a library of CUDA could not be loaded${missing[1] ? ` (${missing[1]})` : ""}. It computes on the CPU.`;
  return "TensorFlow reports no GPU. It computes on the CPU.";
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
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: options.gpu ? "0" : "2", NODE_OPTIONS: "" };
  const { code, endedBy, stdout, stderr } = await runCommand(
    options.node ?? process.execPath,
    [runtimeFile("self-test.cjs"), folder, core],
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
