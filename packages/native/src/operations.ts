import { mkdir, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Compiler, compileAddon, napiVersion } from "./addon.ts";
import type { Assembly } from "./assembly.ts";
import type { InstalledManifest, OperationsBuild } from "./installed-manifest.ts";
import { operationsVersion } from "./operations-version.ts";
import { runtimeFile } from "./self-test.ts";

/** The place in an installation of the addon that registers fdiv's own operations with TensorFlow. */
export const operationsPath = `lib/napi-v${napiVersion}/fdiv_ops-${operationsVersion}.node`;

/** The processor that this machine's operations are compiled for, as the installation's loader names it. */
export const processorName = (): string =>
  (
    createRequire(import.meta.url)(runtimeFile("processor.cjs")) as { processorName(): string }
  ).processorName();

const sourceFolder = fileURLToPath(new URL("../ops/", import.meta.url));

async function sources(): Promise<string[]> {
  const names = await readdir(sourceFolder);
  return names
    .filter((name) => name.endsWith(".cc"))
    .sort()
    .map((name) => join(sourceFolder, name));
}

/** For the very processor: the operations are as fast as its vectors are wide. Nothing that changes what NaN and ∞ do. */
const flags = [
  "-O3",
  process.arch === "arm64" ? "-mcpu=native" : "-march=native",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fopenmp-simd",
  "-pthread",
  "-DNODE_GYP_MODULE_NAME=fdiv_ops",
  `-DFDIV_OPERATIONS_VERSION=${operationsVersion}`,
];

/**
 * Compiles the operations into an installation.
 *
 * @returns what the manifest says of them
 * @throws NativeError with the compiler's last lines when it fails
 */
export async function compileOperations(
  { target, signal }: Pick<Assembly, "target" | "signal">,
  folder: string,
  compiler: Compiler,
  output = operationsPath,
): Promise<OperationsBuild> {
  await mkdir(dirname(join(folder, output)), { recursive: true });
  await compileAddon(compiler, folder, target, { sources: await sources(), output, flags }, signal);
  return {
    path: operationsPath,
    version: operationsVersion,
    processor: processorName(),
    compiler: compiler.version,
  };
}

/** Whether an installation has operations of this version for this machine's processor. */
export const operationsAreCurrent = ({ operationBuilds = [] }: InstalledManifest): boolean =>
  operationBuilds.some(
    ({ version, processor }) => version === operationsVersion && processor === processorName(),
  );
