import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { loadNative } from "./load.ts";
import { NativeError } from "./native-error.ts";
import { processorName } from "./operations.ts";
import { operationsVersion } from "./operations-version.ts";
import { runtimeFile } from "./self-test.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

const root = temporaryFolder();

/** An installation with the real loader or another, and the given files of the binding. */
async function folderWith(
  name: string,
  loader?: string,
  binding = "module.exports = { TF_Version: 'test' }",
  ...operationBuilds: { path: string; processor: string; version: number }[]
) {
  const folder = join(root, name);
  await mkdir(join(folder, "dist/io"), { recursive: true });
  const { platform, arch } = process;
  const manifest = {
    format: 1,
    flavour: "cpu",
    tensorflow: "2.15.1",
    platform,
    arch,
    addon: { path: "addon.cjs" },
    operationBuilds,
  };
  await writeFile(join(folder, "installed.json"), JSON.stringify(manifest));
  await writeFile(join(folder, "addon.cjs"), binding);
  await writeFile(join(folder, "package.json"), "{}");
  for (const facade of ["tfjs", "tfjs-core"]) {
    const module = join(folder, "node_modules/@tensorflow", facade);
    await mkdir(module, { recursive: true });
    await copyFile(runtimeFile("tfjs.cjs"), join(module, "index.cjs"));
    await writeFile(join(module, "package.json"), '{"main": "index.cjs"}');
  }
  const kernels =
    "const tf = require('@tensorflow/tfjs'); require('node:util').isArray([]); exports.core = tf;";
  await writeFile(join(folder, "dist/register_all_kernels.js"), kernels);
  const backend =
    "const tf = require('@tensorflow/tfjs-core'); exports.NodeJSKernelBackend = class extends tf.KernelBackend { constructor(binding, name) { super(); this.binding = binding; this.name = name; } dispose() {} };";
  await writeFile(join(folder, "dist/nodejs_kernel_backend.js"), backend);
  await writeFile(join(folder, "dist/io/file_system.js"), "exports.nodeFileSystemRouter = () => null;");
  if (loader) await writeFile(join(folder, "load.cjs"), loader);
  else await copyFile(runtimeFile("load.cjs"), join(folder, "load.cjs"));
  await copyFile(runtimeFile("processor.cjs"), join(folder, "processor.cjs"));
  await writeFile(join(folder, "operations.cjs"), "module.exports = { version: 7, threads: 2 }");
  return folder;
}

describe("loadNative", () => {
  it("says how to get an installation where there is none", () => {
    expect(() => loadNative(join(root, "nowhere"))).toThrow(/npx @fdiv\/native install/);
  });

  it("says which folder does not load, and why", async () => {
    const folder = await folderWith("broken", undefined, "throw new Error('GLIBC_2.34 not found\\nmore')");
    expect(() => loadNative(folder, { core: tf })).toThrow(NativeError);
    expect(() => loadNative(folder, { core: tf })).toThrow(/broken does not load: GLIBC_2\.34 not found \(/);
  });

  it("refuses what is not tfjs-core 4", async () => {
    const folder = await folderWith("old");
    expect(() => loadNative(folder, { core: {} })).toThrow(/tfjs-core 4, not this object/);
    expect(() => loadNative(folder, { core: { engine() {}, version_core: "3.21.0" } })).toThrow(
      /not 3\.21\.0/,
    );
  });

  it("registers with the program's own tfjs-core, once", async () => {
    const folder = await folderWith("whole");
    // The tfjs-core that an ES import gives and the one that is required are one.
    const loaded = loadNative(folder, { requireFrom: import.meta.url });
    expect(loaded).toEqual({
      folder,
      flavour: "cpu",
      tensorflow: "test",
      registered: true,
      operationsProblem: expect.stringMatching(/not built/),
    });
    expect(await tf.setBackend("tensorflow")).toBe(true);
    const backend = tf.backend() as unknown as { name: string };
    expect(backend).toBeInstanceOf(tf.KernelBackend);
    expect(backend.name).toBe("@tensorflow/tfjs-node");
    expect(loadNative(folder, { core: tf }).registered).toBe(false);
  });

  it("loads operations that were built for this very processor, and no others", async () => {
    const path = "operations.cjs";
    const mine = { path, processor: processorName(), version: operationsVersion };
    const others = { ...mine, processor: "arm64 Another" };
    const older = { ...mine, version: operationsVersion - 1 };
    tf.removeBackend("tensorflow");
    expect(
      loadNative(await folderWith("mine", undefined, undefined, older, mine), { core: tf }).operations,
    ).toEqual({
      version: 7,
      threads: 2,
    });
    tf.removeBackend("tensorflow");
    const loaded = loadNative(await folderWith("others", undefined, undefined, others), { core: tf });
    expect(loaded.operations).toBeUndefined();
    expect(loaded.operationsProblem).toMatch(/built for arm64 Another, and this is/);
    tf.removeBackend("tensorflow");
    const old = loadNative(await folderWith("older", undefined, undefined, older), { core: tf });
    expect(old.operations).toBeUndefined();
    expect(old.operationsProblem).toMatch(/of version \d+, and \d+ is due: install again/);
  });
});
