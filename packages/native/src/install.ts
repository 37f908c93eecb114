import { mkdir, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { addonPath, type Compiler, findCompiler, stripLibraries } from "./addon.ts";
import { type Assembly, buildAddon, copyLoader, unpackSources, unpackWheels } from "./assembly.ts";
import { type CacheOptions, downloadsFolder, nativeRoot, readManifest } from "./cache-folder.ts";
import { checkSpace, freeBytes } from "./disk-space.ts";
import { withLock } from "./install-lock.ts";
import {
  describeFiles,
  folderBytes,
  type InstalledManifest,
  type OperationsBuild,
  writeManifest,
} from "./installed-manifest.ts";
import { explainSystemError, NativeError } from "./native-error.ts";
import { checkNpm } from "./npm-package.ts";
import { compileOperations, operationsAreCurrent, operationsPath } from "./operations.ts";
import {
  headersPackage,
  type PinnedWheel,
  protobufPackage,
  tensorflowVersion,
  tfjsNodePackage,
  tfjsNodeVersion,
} from "./pinned-releases.ts";
import { findPip } from "./pip.ts";
import { type InstallProgress, stepsOf } from "./progress.ts";
import { selfTest } from "./self-test.ts";
import { formatBytes } from "./sizes.ts";
import { type Machine, nativeTarget } from "./target.ts";
import { downloadWheel, keptWheel, matchGiven, type VerifiedWheel, verifyWheel } from "./wheels.ts";

export interface InstallOptions extends CacheOptions {
  /** The CUDA build (Linux x64); default: the CPU build. */
  gpu?: boolean;
  /** A `tfjs_binding.node` to use in place of compiling one. */
  prebuilt?: string;
  /** Wheels that were fetched before: files, or folders that hold them under their own names. */
  wheel?: string | readonly string[];
  /** Install anew where an installation is there and works. */
  force?: boolean;
  signal?: AbortSignal;
  onProgress?(progress: InstallProgress): void;
  /** Default: the machine that this runs on. */
  machine?: Machine;
}

/** What was installed, or found installed. */
export interface Installation {
  folder: string;
  manifest: InstalledManifest;
  /** It was there and works; nothing was done. */
  alreadyInstalled: boolean;
  /** Milliseconds of every step. */
  milliseconds: Record<string, number>;
}

/** Leftovers of processes that were killed; only called while holding the lock. */
async function clearLeftovers(root: string, name: string): Promise<void> {
  for (const entry of await readdir(root).catch(() => []))
    if (entry.startsWith(`${name}.partial-`) || entry.startsWith(`${name}.old-`))
      await rm(join(root, entry), { recursive: true, force: true });
}

/** Finds or downloads every wheel, checked against its hash. */
async function obtainWheels(
  { target, root, signal, step }: Assembly,
  options: InstallOptions,
): Promise<VerifiedWheel[]> {
  const downloads = downloadsFolder(root);
  const asked = options.wheel === undefined ? [] : [options.wheel].flat();
  const given = await matchGiven(target.wheels, asked);
  const verified: VerifiedWheel[] = [];
  const missing: PinnedWheel[] = [];
  await step("verify", "the wheels at hand", async () => {
    for (const wheel of target.wheels) {
      const file = given.get(wheel);
      if (file) await verifyWheel(wheel, file, signal);
      const path = file ?? (await keptWheel(wheel, downloads, signal));
      if (path) verified.push({ wheel, path, origin: file ? "given" : "kept" });
      else missing.push(wheel);
    }
    const bytes = verified.reduce((sum, { wheel }) => sum + wheel.bytes, 0);
    return `${verified.length} of ${target.wheels.length} wheels at hand${bytes ? `, ${formatBytes(bytes)}` : ""}`;
  });
  const toFetch = missing.reduce((sum, wheel) => sum + wheel.bytes, 0);
  const largest = Math.max(...target.wheels.map(({ bytes }) => bytes));
  // Stripping writes the largest library a second time; pip keeps a copy while it moves a file.
  const needed = toFetch + target.installedBytes * 1.6 + (toFetch ? largest : 0);
  checkSpace(root, needed, await freeBytes(root));
  if (missing.length === 0) return verified;
  const pip = await findPip(signal);
  for (const wheel of missing)
    await step(
      "download",
      `${wheel.project} ${wheel.version} (${formatBytes(wheel.bytes)}) with ${pip.version}`,
      async (progress) => {
        const onBytes = (bytes: number): void => progress(Math.min(bytes, wheel.bytes), wheel.bytes);
        const path = await downloadWheel(pip, wheel, downloads, { signal, onBytes });
        verified.push({ wheel, path, origin: "downloaded" });
        return `${wheel.file}, ${formatBytes(wheel.bytes)}, SHA-256 as published`;
      },
    );
  return verified;
}

/** Tests the folder, with a manifest that the loader needs, and gives the manifest of a folder that passed. */
async function finish(
  work: Assembly,
  wheels: VerifiedWheel[],
  compiler: Compiler | undefined,
  stripped: boolean,
  operations: OperationsBuild | undefined,
): Promise<InstalledManifest> {
  const { target, partial, signal, step } = work;
  const manifest: InstalledManifest = {
    format: 1,
    flavour: target.flavour,
    tensorflow: tensorflowVersion,
    tfjsNode: tfjsNodeVersion,
    platform: target.platform,
    arch: target.arch,
    installedAt: new Date().toISOString(),
    wheels: wheels.map(({ wheel: { file, sha256 } }) => ({ file, sha256 })),
    packages: [tfjsNodePackage, protobufPackage, headersPackage],
    addon: { path: addonPath, ...(compiler && { compiler: compiler.version }) },
    ...(operations && { operationBuilds: [operations] }),
    stripped,
    bytes: 0,
    files: [],
    selfTest: {
      tensorflow: "",
      gpu: false,
      operations: false,
      node: "",
      loadMilliseconds: 0,
      residentBytes: 0,
    },
  };
  await writeManifest(partial, manifest);
  await step("test", "loading it and multiplying matrices", async () => {
    manifest.selfTest = await selfTest(partial, { signal, gpu: target.flavour === "gpu" });
    const { tensorflow, gpu, loadMilliseconds, residentBytes } = manifest.selfTest;
    return `TensorFlow ${tensorflow} on the ${gpu ? "GPU" : "CPU"}, loaded in ${loadMilliseconds} ms, ${formatBytes(residentBytes)} of memory`;
  });
  await step("record", "sizes and hashes", async () => {
    manifest.files = await describeFiles(partial, signal);
    manifest.bytes = await folderBytes(partial);
    await writeManifest(partial, manifest);
    return `${formatBytes(manifest.bytes)} installed`;
  });
  return manifest;
}

/** Compiles fdiv's own operations; without a compiler, or when it fails, the backend does without them and that is said. */
async function buildOperations(
  work: Pick<Assembly, "target" | "signal" | "step" | "note">,
  folder: string,
  output?: string,
): Promise<OperationsBuild | undefined> {
  const { signal, step, note } = work;
  try {
    const compiler = await findCompiler(signal);
    let operations: OperationsBuild | undefined;
    await step("build", `fdiv's fused operations with ${compiler.version}`, async () => {
      operations = await compileOperations(work, folder, compiler, output);
      return `${operationsPath} for ${operations.processor}`;
    });
    return operations;
  } catch (error) {
    signal.throwIfAborted();
    note("build", `no fused operations, TensorFlow's own are used: ${(error as Error).message}`);
    return undefined;
  }
}

/** Gives an installation that works the operations of this version and processor, beside those of others; it stays as it is when they can't be had. */
async function renewOperations(
  work: Pick<Assembly, "target" | "signal" | "step" | "note">,
  folder: string,
  manifest: InstalledManifest,
): Promise<InstalledManifest> {
  const beside = `${operationsPath}.${process.pid}.part`;
  try {
    const operations = await buildOperations(work, folder, beside);
    if (!operations) return manifest;
    // Another program may have the old file loaded: it keeps that one.
    await rename(join(folder, beside), join(folder, operationsPath));
    await copyLoader(folder);
    const files = await describeFiles(folder, work.signal);
    const others = (manifest.operationBuilds ?? []).filter(({ version }) => version !== operations.version);
    const operationBuilds = [...others, operations];
    const renewed = { ...manifest, operationBuilds, files, bytes: await folderBytes(folder) };
    await writeManifest(folder, renewed);
    return {
      ...renewed,
      selfTest: await selfTest(folder, { signal: work.signal, gpu: manifest.flavour === "gpu" }),
    };
  } finally {
    await rm(join(folder, beside), { force: true });
  }
}

/** Gives the built folder its name; an installation that was there goes only once the new one is in place. */
export async function putInPlace({ folder, partial }: Pick<Assembly, "folder" | "partial">): Promise<void> {
  const old = `${folder}.old-${process.pid}`;
  const had = await rename(folder, old).then(
    () => true,
    () => false,
  );
  try {
    await rename(partial, folder);
  } catch (error) {
    if (had) await rename(old, folder);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

async function build(work: Assembly, options: InstallOptions): Promise<InstalledManifest> {
  const { target, root, partial, signal, step } = work;
  // Whatever is missing is said before hundreds of megabytes are downloaded.
  const compiler = options.prebuilt === undefined ? await findCompiler(signal) : undefined;
  if (options.prebuilt !== undefined && !(await stat(options.prebuilt).catch(() => undefined))?.isFile())
    throw new NativeError(`--prebuilt ${options.prebuilt}: there is no such file.`);
  await checkNpm(signal);
  const wheels = await obtainWheels(work, options);
  try {
    await mkdir(partial, { recursive: true });
    await unpackSources(work);
    await unpackWheels(work, wheels);
    let stripped = false;
    await step("strip", "symbols", async () => {
      stripped = await stripLibraries(partial, target, signal);
      const bytes = await folderBytes(join(partial, "deps"));
      return stripped ? formatBytes(bytes) : `left as they are, ${formatBytes(bytes)}`;
    });
    await buildAddon(work, compiler ?? resolve(options.prebuilt!));
    const manifest = await finish(work, wheels, compiler, stripped, await buildOperations(work, partial));
    signal.throwIfAborted();
    await putInPlace(work);
    for (const { path, origin } of wheels) if (origin !== "given") await rm(path, { force: true });
    await rmdir(downloadsFolder(root)).catch(() => undefined);
    return manifest;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/**
 * Installs TensorFlow's native backend into the cache, once per machine: a pinned TensorFlow wheel through pip, the
 * binding of tfjs-node through npm, compiled, tested, and put in place as a whole. After a failure or an abort nothing is
 * left but wheels that were downloaded and verified, for the next attempt.
 *
 * @throws NativeError, whose message says what to do
 */
export async function installNative(options: InstallOptions = {}): Promise<Installation> {
  const target = nativeTarget(options.gpu ? "gpu" : "cpu", options.machine);
  const root = resolve(nativeRoot(options));
  const folder = join(root, target.name);
  const { step, note, milliseconds } = stepsOf(options.onProgress);
  const onWait = (): void =>
    note("wait", "another installer is at work; waiting for it (for 15 s, if it was killed)");
  return withLock(
    `${folder}.lock`,
    async (signal) => {
      const found = options.force ? undefined : readManifest(folder);
      if (found) {
        const works = await selfTest(folder, { signal, gpu: options.gpu }).catch((error: unknown) => {
          signal.throwIfAborted();
          note("repair", `what is installed does not work and is replaced: ${(error as Error).message}`);
        });
        if (works && operationsAreCurrent(found))
          return { folder, manifest: { ...found, selfTest: works }, alreadyInstalled: true, milliseconds };
        if (works) {
          const manifest = await renewOperations({ target, signal, step, note }, folder, {
            ...found,
            selfTest: works,
          });
          return { folder, manifest, alreadyInstalled: true, milliseconds };
        }
      }
      await clearLeftovers(root, target.name);
      const partial = `${folder}.partial-${process.pid}`;
      const manifest = await build({ target, root, folder, partial, signal, step, note }, options);
      return { folder, manifest, alreadyInstalled: false, milliseconds };
    },
    { signal: options.signal, onWait },
  ).catch((error: unknown) => {
    throw explainSystemError(error, root);
  });
}
