import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheFolder, nativeFolder } from "./cache-folder.ts";
import { targetName } from "./target.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

const root = temporaryFolder();
let count = 0;

async function installed(cache: string, flavour: "cpu" | "gpu", changes: object = {}): Promise<string> {
  const folder = join(cache, "native", targetName(flavour, process));
  await mkdir(folder, { recursive: true });
  const { platform, arch } = process;
  const manifest = { format: 1, flavour, platform, arch, addon: { path: "x.node" }, files: [], ...changes };
  await writeFile(join(folder, "installed.json"), JSON.stringify(manifest));
  return folder;
}
const newCache = () => join(root, `cache-${count++}`);

describe("cacheFolder", () => {
  it("is FDIV_CACHE, else the system's place for caches", () => {
    expect(cacheFolder({ FDIV_CACHE: "/a", XDG_CACHE_HOME: "/b" }, "linux")).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/b" }, "linux")).toBe(join("/b", "fdiv"));
    expect(cacheFolder({}, "linux")).toBe(join(homedir(), ".cache", "fdiv"));
    expect(cacheFolder({}, "darwin")).toBe(join(homedir(), "Library", "Caches", "fdiv"));
    expect(cacheFolder({ LOCALAPPDATA: "/local" }, "win32")).toBe(join("/local", "fdiv", "Cache"));
  });
});

describe("nativeFolder", () => {
  it("is undefined without an installation", () => {
    expect(nativeFolder({ cache: newCache() })).toBeUndefined();
  });

  it("finds an installation, the one with CUDA first", async () => {
    const cache = newCache();
    const cpu = await installed(cache, "cpu");
    expect(nativeFolder({ cache })).toBe(cpu);
    expect(nativeFolder({ cache, gpu: true })).toBeUndefined();
    const gpu = await installed(cache, "gpu");
    expect(nativeFolder({ cache })).toBe(gpu);
    expect(nativeFolder({ cache, gpu: false })).toBe(cpu);
  });

  it("passes over folders without a whole manifest, of another format or machine", async () => {
    const broken = newCache();
    await writeFile(join(await installed(broken, "cpu"), "installed.json"), '{"format": 1');
    const later = newCache();
    await installed(later, "cpu", { format: 2 });
    const elsewhere = newCache();
    await installed(elsewhere, "cpu", { arch: "mips" });
    for (const cache of [broken, later, elsewhere]) expect(nativeFolder({ cache })).toBeUndefined();
  });
});
