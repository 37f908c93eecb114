import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { nativeFolder } from "./cache-folder.ts";
import {
  copyRegistry,
  publishPackage,
  publishWheel,
  workingTools,
  writeTools,
} from "./fake-tools.testing.ts";
import { type InstallOptions, installNative, putInPlace } from "./install.ts";
import { explainSystemError, NativeError } from "./native-error.ts";
import { operationsPath, processorName } from "./operations.ts";
import { operationsVersion } from "./operations-version.ts";
import * as pins from "./pinned-releases.ts";
import type { InstallProgress } from "./progress.ts";
import * as selfTests from "./self-test.ts";
import { nativeStatus, removeNative } from "./status.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

// The pins are replaced by those of a registry that the test makes, and pip, npm and g++ by scripts: nothing is fetched.
vi.mock("./pinned-releases.ts", async (original) => {
  const actual = await original<typeof pins>();
  const key = `${process.platform}-${process.arch}`;
  const wheel = { ...actual.cpuWheels["linux-x64"], file: "tensorflow_cpu-2.15.1-test.whl" };
  return {
    ...actual,
    cpuWheels: { [key]: wheel },
    tfjsNodePackage: { ...actual.tfjsNodePackage },
    protobufPackage: { ...actual.protobufPackage },
    headersPackage: { ...actual.headersPackage },
  };
});
vi.mock("./self-test.ts", { spy: true });

const { platform, arch } = process;
const machine = { platform, arch, glibc: true };
const ending = platform === "darwin" ? ".2.dylib" : ".so.2";
const wheel = () => pins.cpuWheels[`${platform}-${arch}`]!;
const report = {
  tensorflow: "2.15.1",
  gpu: false,
  operations: true,
  node: "20",
  loadMilliseconds: 1,
  residentBytes: 1,
};

describe.skipIf(platform === "win32")("installNative", () => {
  const root = temporaryFolder();
  const registry = join(root, "registry");
  let count = 0;

  beforeAll(async () => {
    await publishWheel(registry, wheel(), [`libtensorflow_cc${ending}`, `libtensorflow_framework${ending}`]);
    await publishPackage(registry, pins.tfjsNodePackage, {
      "package.json": "{}",
      "dist/index.js": "",
      "dist/index_test.js": "",
      "binding/tfjs_binding.cc": "",
      "scripts/install.js": "throw new Error('never run')",
    });
    await publishPackage(registry, pins.protobufPackage, { "package.json": "{}", "google-protobuf.js": "" });
    await publishPackage(registry, pins.headersPackage, { "include/node_api.h": "" });
    vi.mocked(selfTests.selfTest).mockResolvedValue(report);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.mocked(selfTests.selfTest).mockReset().mockResolvedValue(report);
  });

  /** A cache of its own and the tools on the path, some replaced (undefined: missing). */
  async function setting(tools: Partial<Record<string, string | undefined>> = {}, from = registry) {
    const cache = join(root, `cache-${count++}`);
    const all = { ...workingTools, ...tools };
    const present = Object.fromEntries(Object.entries(all).filter(([, code]) => code !== undefined));
    vi.stubEnv("PATH", await writeTools(`${cache}-bin`, from, present));
    vi.stubEnv("npm_execpath", undefined);
    vi.stubEnv("CXX", undefined);
    const native = join(cache, "native");
    const left = () => readdir(native).catch(() => []);
    const install = (options: InstallOptions = {}) => installNative({ cache, machine, ...options });
    return { cache, native, left, install };
  }

  it("builds a whole folder, keeps no download, and finds it the next time", async () => {
    const { cache, native, left, install } = await setting();
    const steps: InstallProgress[] = [];
    const installed = await install({ onProgress: (progress) => steps.push(progress) });
    expect(installed.alreadyInstalled).toBe(false);
    expect(nativeFolder({ cache })).toBe(installed.folder);
    expect(await left()).toEqual([installed.folder.slice(native.length + 1)]);
    for (const file of [
      `deps/lib/libtensorflow_cc${ending}`,
      "deps/include/tensorflow/c/c_api.h",
      "deps/include/node/node_api.h",
      "lib/napi-v8/tfjs_binding.node",
      "dist/index.js",
      operationsPath,
      "load.cjs",
      "processor.cjs",
      "node_modules/@tensorflow/tfjs-core/index.cjs",
      "node_modules/google-protobuf/google-protobuf.js",
    ])
      expect(existsSync(join(installed.folder, file)), file).toBe(true);
    for (const file of ["dist/index_test.js", "scripts", "binding", "tensorflow/x.py"])
      expect(existsSync(join(installed.folder, file)), file).toBe(false);
    expect(steps.filter(({ state }) => state === "done").map(({ step }) => step)).toEqual([
      "verify",
      "download",
      "fetch",
      "unpack",
      "strip",
      "build",
      "build",
      "test",
      "record",
    ]);
    const manifest = JSON.parse(await readFile(join(installed.folder, "installed.json"), "utf8"));
    expect(manifest).toMatchObject({
      tensorflow: "2.15.1",
      addon: { compiler: "g++ 13.0" },
      operationBuilds: [{ path: operationsPath, version: operationsVersion, processor: processorName() }],
      selfTest: report,
    });
    expect(manifest.wheels).toEqual([{ file: wheel().file, sha256: wheel().sha256 }]);
    const again = await install();
    expect(again.alreadyInstalled).toBe(true);
    expect(await readFile(join(registry, "pip-calls"), "utf8")).toContain(
      "--require-hashes --only-binary=:all:",
    );
  });

  it("builds the operations alone where those of its version are missing or for another processor", async () => {
    const { install } = await setting();
    const { folder, manifest } = await install();
    await writeFile(join(folder, "mark"), "");
    const [built] = manifest.operationBuilds!;
    const older = { ...built!, version: 0, path: "lib/napi-v8/fdiv_ops-0.node" };
    for (const [there, kept] of [
      [older, [older]],
      [{ ...built!, processor: "another" }, []],
    ] as const) {
      await writeFile(
        join(folder, "installed.json"),
        JSON.stringify({ ...manifest, operationBuilds: [there] }),
      );
      await writeFile(join(folder, there.path), "old");
      const renewed = await install();
      expect(renewed.manifest.operationBuilds).toEqual([...kept, built]);
      expect(await readFile(join(folder, operationsPath), "utf8")).toBe("addon\n");
      for (const { path } of kept) expect(await readFile(join(folder, path), "utf8")).toBe("old");
      expect(existsSync(join(folder, "mark"))).toBe(true);
    }
    expect(await readdir(join(folder, "lib/napi-v8"))).toHaveLength(3);
    const steps: string[] = [];
    await install({ onProgress: ({ step }) => steps.push(step) });
    expect(steps).toEqual([]);
  });

  it("goes on without operations where they do not compile, and says so", async () => {
    const compiler = `case "$*" in *fdiv_ops*) echo "no such vector" >&2; exit 1;; esac\n${workingTools["g++"]}`;
    const { install } = await setting({ "g++": compiler });
    const remarks: string[] = [];
    const { manifest, folder } = await install({
      onProgress: ({ state, detail }) => state === "remark" && remarks.push(detail),
    });
    expect(manifest.operationBuilds).toBeUndefined();
    expect(existsSync(join(folder, operationsPath))).toBe(false);
    expect(remarks).toEqual([expect.stringMatching(/no fused operations[\s\S]*no such vector/)]);
  });

  it("says what to install where pip, a compiler or npm is missing, before anything is downloaded", async () => {
    const noPip = await setting({ python3: undefined });
    await expect(noPip.install()).rejects.toThrow(/apt install python3-pip[\s\S]*--wheel/);
    const oldPip = await setting({ python3: "echo 'pip 9.0.1 from here'" });
    await expect(oldPip.install()).rejects.toThrow(/20\.3 or newer/);
    const noCompiler = await setting({ "g++": undefined, python3: "exit 9" });
    await expect(noCompiler.install()).rejects.toThrow(/apt install g\+\+[\s\S]*--prebuilt/);
    vi.stubEnv("CXX", "no-such-compiler");
    await expect(noCompiler.install()).rejects.toThrow(/CXX=no-such-compiler/);
    const noNpm = await setting({ npm: undefined });
    await expect(noNpm.install()).rejects.toThrow(/npm is needed/);
    for (const { left } of [noPip, oldPip, noCompiler, noNpm]) expect(await left()).toEqual([]);
  });

  it("needs neither pip nor a compiler with a wheel and a prebuilt binding, and leaves both alone", async () => {
    const { install } = await setting({ python3: undefined, "g++": undefined });
    const prebuilt = join(root, "prebuilt.node");
    await writeFile(prebuilt, "prebuilt");
    const { folder, manifest } = await install({ prebuilt, wheel: registry });
    expect(await readFile(join(folder, "lib/napi-v8/tfjs_binding.node"), "utf8")).toBe("prebuilt");
    expect(manifest.addon.compiler).toBeUndefined();
    expect(existsSync(join(registry, wheel().file))).toBe(true);
    await expect(install({ force: true, prebuilt: join(root, "nowhere") })).rejects.toThrow(/no such file/);
  });

  it("refuses other content than was published, from pip, npm or a file", async () => {
    const spoilt = await copyRegistry(registry, join(root, "spoilt"));
    await writeFile(join(spoilt, wheel().file), Buffer.alloc(wheel().bytes));
    const fromPip = await setting({}, spoilt);
    await expect(fromPip.install()).rejects.toThrow(/is not the .* that was published: SHA-256/);
    expect(await fromPip.left()).toEqual([]);
    const fromFile = await setting();
    await expect(fromFile.install({ wheel: join(spoilt, wheel().file) })).rejects.toThrow(/was published/);
    const tampered = await copyRegistry(registry, join(root, "tampered"));
    const integrity = pins.tfjsNodePackage.integrity;
    await publishPackage(tampered, pins.tfjsNodePackage, { "package.json": '{"evil": true}' });
    pins.tfjsNodePackage.integrity = integrity;
    const fromNpm = await setting({}, tampered);
    await expect(fromNpm.install()).rejects.toThrow(/offers another @tensorflow\/tfjs-node@4\.22\.0/);
  });

  it("explains what pip and the compiler said", async () => {
    const failing = (said: string) =>
      `case "$*" in *--version*) echo "pip 24.0";; *) echo "${said}" >&2; exit 1;; esac`;
    for (const [said, message] of [
      ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", /offers another/],
      ["ERROR: No matching distribution found", /has no .*--wheel/],
      ["Connection refused by proxy", /pip config list[\s\S]*Connection refused by proxy/],
    ] as const) {
      const { install } = await setting({ python3: failing(said) });
      await expect(install()).rejects.toThrow(message);
    }
    const compiler = `if [ "$1" = --version ]; then echo "g++ 4.8"; exit 0; fi; echo "error: C++17" >&2; exit 1`;
    const { install, left } = await setting({ "g++": compiler });
    await expect(install()).rejects.toThrow(/g\+\+ 4\.8\) failed[\s\S]*error: C\+\+17/);
    expect(await left()).toEqual(["downloads"]);
  });

  it("leaves nothing half-made when interrupted, and takes the kept wheel at the next attempt", async () => {
    const slow = `if [ "$1" = --version ]; then echo "g++ 13.0"; exit 0; fi; exec /bin/sleep 60`;
    const { cache, native, left, install } = await setting({ "g++": slow });
    const controller = new AbortController();
    const started = Date.now();
    const onProgress = ({ step, state }: InstallProgress): void => {
      if (step === "build" && state === "begun") setTimeout(() => controller.abort(new Error("Ctrl-C")), 100);
    };
    await expect(install({ signal: controller.signal, onProgress })).rejects.toThrow("Ctrl-C");
    expect(Date.now() - started).toBeLessThan(20_000);
    expect(nativeFolder({ cache })).toBeUndefined();
    expect(await left()).toEqual(["downloads"]);
    expect(await readdir(join(native, "downloads"))).toEqual([wheel().file]);
    const { python3: _, ...withoutPip } = workingTools;
    vi.stubEnv("PATH", await writeTools(`${cache}-bin`, registry, withoutPip));
    expect((await install()).alreadyInstalled).toBe(false);
    expect(await left()).toHaveLength(1);
  });

  it("removes a download that was interrupted", async () => {
    const slow = `case "$*" in *--version*) echo "pip 24.0"; exit 0;; esac; exec /bin/sleep 60`;
    const { left, install } = await setting({ python3: slow });
    const controller = new AbortController();
    const onProgress = ({ step }: InstallProgress): void => {
      if (step === "download") setTimeout(() => controller.abort(new Error("Ctrl-C")), 100);
    };
    await expect(install({ signal: controller.signal, onProgress })).rejects.toThrow("Ctrl-C");
    expect(await left()).toEqual([]);
  });

  it("clears what a killed installer left", async () => {
    const { native, left, install } = await setting();
    const name = `cpu-tf2.15.1-tfjs4.22.0-${platform}-${arch}`;
    await mkdir(join(native, `${name}.partial-99999/deps`), { recursive: true });
    await mkdir(join(native, `${name}.old-99999`), { recursive: true });
    await install();
    expect(await left()).toEqual([name]);
  });

  it("lets the second of two installers wait and find the first one's work", async () => {
    const { install } = await setting();
    const remarks: string[] = [];
    const both = await Promise.all(
      [1, 2].map(() =>
        install({ onProgress: ({ state, step }) => state === "remark" && remarks.push(step) }),
      ),
    );
    expect(both.map(({ alreadyInstalled }) => alreadyInstalled).sort()).toEqual([false, true]);
    expect(remarks).toEqual(["wait"]);
  });

  it("installs nothing that fails its test, keeps what was there, and replaces what is broken", async () => {
    const { cache, install } = await setting();
    const test = vi.mocked(selfTests.selfTest);
    test.mockRejectedValue(new NativeError("a matrix product is wrong"));
    await expect(install()).rejects.toThrow("a matrix product is wrong");
    expect(nativeFolder({ cache })).toBeUndefined();
    test.mockResolvedValue(report);
    const { folder } = await install();
    await writeFile(join(folder, "mark"), "");
    test.mockRejectedValue(new NativeError("a matrix product is wrong"));
    await expect(install({ force: true })).rejects.toThrow("a matrix product is wrong");
    expect(existsSync(join(folder, "mark"))).toBe(true);
    test.mockReset().mockRejectedValueOnce(new NativeError("broken")).mockResolvedValue(report);
    expect((await install()).alreadyInstalled).toBe(false);
    expect(existsSync(join(folder, "mark"))).toBe(false);
  });

  it("gives the old folder its name back where the new one can't have it", async () => {
    const folder = join(root, "kept");
    await mkdir(folder);
    await writeFile(join(folder, "mark"), "");
    await expect(putInPlace({ folder, partial: join(root, "nowhere") })).rejects.toThrow(/ENOENT/);
    expect(await readdir(folder)).toEqual(["mark"]);
  });

  it("names a place that can't be written", async () => {
    const { install } = await setting();
    const file = join(root, "a-file");
    await writeFile(file, "");
    const denied = Object.assign(new Error("denied"), { code: "EACCES", path: "/cache/native" });
    expect(explainSystemError(denied, "/x")).toMatchObject({
      message: expect.stringMatching(/^\/cache\/native: it may not be written.*--cache/),
    });
    expect(explainSystemError(new Error("other"), "/x")).toMatchObject({ message: "other" });
    await expect(install({ cache: join(file, "below") })).rejects.toThrow(/a-file.*below a file/);
  });

  it("is told by status and undone by remove", async () => {
    const { cache, left, install } = await setting();
    expect((await nativeStatus({ cache })).map(({ installed }) => installed)).toEqual([false, false]);
    const { folder } = await install();
    const [cpu] = await nativeStatus({ cache });
    expect(cpu).toMatchObject({ flavour: "cpu", folder, installed: true, works: true, report });
    await writeFile(join(folder, "lib/napi-v8/tfjs_binding.node"), "cut");
    expect((await nativeStatus({ cache }))[0]).toMatchObject({
      works: false,
      problem: expect.stringMatching(/3 bytes/),
    });
    await mkdir(join(cache, "native/downloads"));
    expect(await removeNative({ cache, gpu: true })).toEqual([]);
    expect((await removeNative({ cache })).map((removed) => removed.folder)).toContain(folder);
    expect(await left()).toEqual([]);
    expect(await removeNative({ cache })).toEqual([]);
  });
});
