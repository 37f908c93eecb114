import { Command, CommanderError } from "commander";
import pc from "picocolors";
import { cacheFolder, nativeFolder } from "./cache-folder.ts";
import { installNative } from "./install.ts";
import { NativeError } from "./native-error.ts";
import type { InstallProgress } from "./progress.ts";
import { formatBytes, formatMilliseconds } from "./sizes.ts";
import { type NativeStatus, nativeStatus, removeNative } from "./status.ts";
import { nativeTarget } from "./target.ts";

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Steps as lines on stderr; on a terminal a running one shows its bytes in place. */
function progressPrinter(): (progress: InstallProgress) => void {
  const live = process.stderr.isTTY === true;
  const line = (mark: string, step: string, detail: string): string => `${mark} ${step.padEnd(9)}${detail}`;
  let last = 0;
  return ({ step, detail, state, bytes, total }) => {
    if (state === "running") {
      const now = Date.now();
      if (!live || bytes === undefined || now - last < 100) return;
      last = now;
      const share = total ? ` of ${formatBytes(total)}, ${Math.floor((100 * bytes) / total)} %` : "";
      process.stderr.write(`\r\x1b[2K${line("·", step, `${detail}: ${formatBytes(bytes)}${share}`)}`);
    } else if (state === "begun") {
      if (live) process.stderr.write(line("·", step, detail));
      else if (step === "download" || step === "build") say(line("·", step, detail));
    } else {
      say(
        `${live ? "\r\x1b[2K" : ""}${line(state === "done" ? pc.green("✓") : pc.yellow("!"), step, detail)}`,
      );
    }
  };
}

interface CommandOptions {
  gpu?: boolean;
  cpu?: boolean;
  cache?: string;
  prebuilt?: string;
  wheel?: string[];
  force?: boolean;
  json?: boolean;
}

const flavourAsked = ({ gpu, cpu }: CommandOptions): { gpu?: boolean } => {
  if (gpu && cpu) throw new NativeError("--cpu and --gpu exclude each other.");
  return gpu ? { gpu: true } : cpu ? { gpu: false } : {};
};

async function install(options: CommandOptions, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const { folder, manifest, alreadyInstalled } = await installNative({
    ...options,
    signal,
    onProgress: progressPrinter(),
  });
  const { gpuProblem, gpu, tensorflow } = manifest.selfTest;
  if (gpuProblem) say(`${pc.yellow("!")} ${gpuProblem}`);
  const took = alreadyInstalled
    ? "was installed already and works"
    : `is ready after ${formatMilliseconds(performance.now() - started)}`;
  say(
    `TensorFlow ${tensorflow} on the ${gpu ? "GPU" : "CPU"} ${took}; fdiv uses it by itself (backend "tensorflow").`,
  );
  print(folder);
}

function describe({
  flavour,
  folder,
  installed,
  manifest,
  bytes,
  works,
  report,
  problem,
}: NativeStatus): string[] {
  const name = flavour === "gpu" ? "GPU build" : "CPU build";
  if (!installed || !manifest) return [`${pc.dim("-")} ${name}: not installed`];
  const lines = [
    `${works ? pc.green("✓") : pc.red("✗")} ${name}: TensorFlow ${manifest.tensorflow}, tfjs-node ${manifest.tfjsNode}, ${formatBytes(bytes)}, installed ${manifest.installedAt.slice(0, 10)}`,
    `    ${folder}`,
  ];
  if (report) {
    lines.push(
      `    loads in Node ${report.node} in ${report.loadMilliseconds} ms with ${formatBytes(report.residentBytes)} of memory, computes on the ${report.gpu ? "GPU" : "CPU"}${report.operations ? " with fdiv's fused operations" : ""}`,
    );
    if (report.gpuProblem) lines.push(`    ${pc.yellow(report.gpuProblem)}`);
  }
  if (problem)
    lines.push(
      `    ${pc.red(problem)}`,
      `    to mend it: npx @fdiv/native install --force${flavour === "gpu" ? " --gpu" : ""}`,
    );
  return lines;
}

async function status(options: CommandOptions, signal: AbortSignal): Promise<void> {
  const found = await nativeStatus({ ...options, signal });
  if (options.json) print(JSON.stringify(found, undefined, 2));
  else for (const build of found) for (const line of describe(build)) print(line);
  if (!found.some(({ works }) => works)) {
    if (!options.json) print("to get one: npx @fdiv/native install");
    process.exitCode = 1;
  }
}

async function remove(options: CommandOptions, signal: AbortSignal): Promise<void> {
  const removed = await removeNative({ ...options, ...flavourAsked(options), signal });
  for (const { folder, bytes } of removed) say(`removed ${folder} (${formatBytes(bytes)})`);
  if (removed.length === 0) say("nothing was installed");
}

function path(options: CommandOptions): void {
  const folder = nativeFolder({ ...options, ...flavourAsked(options) });
  if (!folder) throw new NativeError("Nothing is installed. Run: npx @fdiv/native install");
  print(folder);
}

function wheels(options: CommandOptions): void {
  for (const { project, version, file, sha256, bytes } of nativeTarget(options.gpu ? "gpu" : "cpu").wheels)
    print(`${project}==${version}  ${file}  ${formatBytes(bytes)}  sha256:${sha256}`);
}

const stopCodes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** Asks to stop on the first Ctrl-C, so that half-made folders are removed. */
function stopSignal() {
  const controller = new AbortController();
  let code: number | undefined;
  const stop = (name: string): void => {
    code ??= stopCodes[name];
    controller.abort(new NativeError("stopped; what was half-made is removed."));
  };
  for (const name of Object.keys(stopCodes)) process.on(name, stop);
  const ignore = (): void => {
    for (const name of Object.keys(stopCodes)) process.off(name, stop);
  };
  return { signal: controller.signal, stoppedBy: () => code, ignore };
}

/** A reader such as `head` that has seen enough is no error. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit();
  throw error;
}

/** The command `fdiv-native`; `args` without the program's name. */
export async function main(args: string[]): Promise<void> {
  const { signal, stoppedBy, ignore } = stopSignal();
  if (!process.stdout.listeners("error").includes(endQuietly)) process.stdout.on("error", endQuietly);
  const program = new Command("fdiv-native")
    .description(
      "TensorFlow's native backend for fdiv and TensorFlow.js, from package registries, once per machine",
    )
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option(
        "--cache <folder>",
        `folder of fdiv's downloads (default: FDIV_CACHE, else ${cacheFolder({ ...process.env, FDIV_CACHE: "" })})`,
      );
  command("install", "download, verify, build, test and cache it")
    .option("--gpu", "the build with CUDA 12.2 (Linux x64, NVIDIA driver 525 or newer)")
    .option("--prebuilt <file>", "a tfjs_binding.node to use in place of compiling one")
    .option("--wheel <file or folder...>", "wheels fetched before, in place of pip")
    .option("--force", "anew, even where one is installed and works")
    .action((options: CommandOptions) => install(options, signal));
  command("status", "what is installed, and whether it loads")
    .option("--json", "as JSON")
    .action((options: CommandOptions) => status(options, signal));
  command("remove", "remove installations and kept downloads")
    .option("--gpu", "the build with CUDA only")
    .option("--cpu", "the CPU build only")
    .action((options: CommandOptions) => remove(options, signal));
  command("path", "the folder of the installation")
    .option("--gpu", "of the build with CUDA")
    .option("--cpu", "of the CPU build")
    .action((options: CommandOptions) => path(options));
  program
    .command("wheels")
    .description("the wheels that an installation on this machine needs, with their hashes")
    .option("--gpu", "of the build with CUDA")
    .action((options: CommandOptions) => wheels(options));
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode;
    else if (stoppedBy() !== undefined || error instanceof NativeError) {
      const message = (signal.reason as Error | undefined)?.message ?? (error as Error).message;
      say(`${process.stderr.isTTY ? "\r\x1b[2K" : ""}fdiv-native: ${message}`);
      process.exitCode = stoppedBy() ?? 1;
    } else throw error;
  } finally {
    ignore();
  }
}
