import { copyFile, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { addonPath, binding, type Compiler, compileAddon, headersFolder } from "./addon.ts";
import { NativeError } from "./native-error.ts";
import { unpackPackage } from "./npm-package.ts";
import { headersPackage, protobufPackage, tfjsNodePackage, tfjsNodeVersion } from "./pinned-releases.ts";
import type { stepsOf } from "./progress.ts";
import { runtimeFile } from "./self-test.ts";
import { formatBytes } from "./sizes.ts";
import type { NativeTarget } from "./target.ts";
import { unzip } from "./unzip.ts";
import { placeOfEntry } from "./wheel-contents.ts";
import type { VerifiedWheel } from "./wheels.ts";

/** An installation in the making. */
export interface Assembly {
  target: NativeTarget;
  root: string;
  /** Where it will be, and where it is built. */
  folder: string;
  partial: string;
  signal: AbortSignal;
  step: ReturnType<typeof stepsOf>["step"];
  note: ReturnType<typeof stepsOf>["note"];
}

/** The program's entry to an installation. */
export async function copyLoader(folder: string): Promise<void> {
  for (const name of ["processor.cjs", "load.cjs"]) await copyFile(runtimeFile(name), join(folder, name));
}

/** What of the npm package is needed to build and to run. */
const neededOfTfjsNode = (path: string): boolean =>
  /^(package\.json|README\.md|binding\/.*)$/.test(path) ||
  (/^dist\/.*\.(js|d\.ts)$/.test(path) && !/_test\.|run_tests\./.test(path));

/** Fetches the binding, what it needs, and the loader. */
export async function unpackSources({ partial, signal, step }: Assembly): Promise<void> {
  await step("fetch", `${tfjsNodePackage.name} ${tfjsNodeVersion} from npm`, async () => {
    await unpackPackage(tfjsNodePackage, partial, neededOfTfjsNode, signal);
    const modules = join(partial, "node_modules");
    const protobuf = join(modules, protobufPackage.name);
    await mkdir(protobuf, { recursive: true });
    const needed = (path: string): boolean => /^(package\.json|LICENSE|google-protobuf\.js)$/.test(path);
    await unpackPackage(protobufPackage, protobuf, needed, signal);
    // Kept beside TensorFlow's C headers, so that further operations can be compiled against an installation.
    const headers = join(partial, headersFolder);
    await mkdir(headers, { recursive: true });
    await unpackPackage(headersPackage, headers, (path) => path.startsWith("include/"), signal, 2);
    // The binding's modules ask for both; either is the program's tfjs-core, so that no second copy comes in.
    for (const name of ["@tensorflow/tfjs", "@tensorflow/tfjs-core"]) {
      const facade = join(modules, name);
      await mkdir(facade, { recursive: true });
      await copyFile(runtimeFile("tfjs.cjs"), join(facade, "index.cjs"));
      const description = { name, version: tfjsNodeVersion, main: "index.cjs" };
      await writeFile(join(facade, "package.json"), `${JSON.stringify(description)}\n`);
    }
    await copyLoader(partial);
    return `${tfjsNodePackage.name} ${tfjsNodeVersion}`;
  });
}

/** Unpacks libraries and headers. */
export async function unpackWheels(
  { target, partial, signal, step }: Assembly,
  wheels: VerifiedWheel[],
): Promise<void> {
  await step("unpack", "TensorFlow's libraries", async (progress) => {
    let before = 0;
    for (const { path } of wheels) {
      const select = (name: string): string | undefined => placeOfEntry(name, target.flavour);
      let written = 0;
      const onBytes = (bytes: number): void => {
        written = bytes;
        progress(before + bytes);
      };
      await unzip(path, partial, { select, signal, onBytes });
      before += written;
    }
    for (const library of target.libraries)
      if (!(await stat(join(partial, "deps/lib", library)).catch(() => undefined)))
        throw new NativeError(`${wheels[0]!.path} holds no ${library}.`);
    return formatBytes(before);
  });
}

/** Compiles the binding, or takes a prebuilt one: the path of a file in place of a compiler. */
export async function buildAddon(work: Assembly, from: Compiler | string): Promise<void> {
  const { target, partial, signal, step } = work;
  const prebuilt = typeof from === "string";
  await step("build", prebuilt ? "the prebuilt binding" : `the binding with ${from.version}`, async () => {
    const addon = join(partial, addonPath);
    await mkdir(dirname(addon), { recursive: true });
    if (prebuilt) await copyFile(from, addon);
    else await compileAddon(from, partial, target, binding, signal);
    await rm(join(partial, "binding"), { recursive: true, force: true });
    return `${addonPath}, ${formatBytes((await stat(addon)).size)}`;
  });
}
