import { mkdtemp, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { parseSafetensors } from "../safetensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors-file.ts";

/** Writes that still succeed, and the paths that were synced. */
const full = vi.hoisted(() => ({ after: Number.POSITIVE_INFINITY }));
const opened = vi.hoisted(() => [] as string[]);

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const open: typeof real.open = async (path, ...rest) => {
    const handle = await real.open(path, ...rest);
    const [write, sync] = [handle.writeFile.bind(handle), handle.sync.bind(handle)];
    handle.writeFile = async (...data) => {
      if (full.after-- > 0) return write(...data);
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    handle.sync = async () => {
      opened.push(String(path));
      return sync();
    };
    return handle;
  };
  return { ...real, open };
});

afterEach(() => {
  full.after = Number.POSITIVE_INFINITY;
});

const folder = () => mkdtemp(join(tmpdir(), "fdiv-safetensors-"));

it("streams tensors to a file and back, asking for one at a time", async () => {
  const path = join(await folder(), "deep", "model.safetensors");
  let alive = 0;
  const tensors = [1, 2, 3].map((n) => ({
    name: `t${n}`,
    dtype: "F32" as const,
    shape: [1000, n],
    data: async () => {
      expect(++alive).toBe(1);
      const data = new Float32Array(1000 * n).fill(n);
      await null;
      alive--;
      return data;
    },
  }));
  await writeSafetensors(path, tensors, { format: "pt" });
  const file = await openSafetensors(path);
  expect(await file.readFloat32("t2")).toEqual(new Float32Array(2000).fill(2));
  expect((await file.read("t3")).length).toBe(3000);
  await expect(file.readFloat32("t4")).rejects.toThrow(/no tensor "t4"/);
  await file.close();
  expect(parseSafetensors(new Uint8Array(await readFile(path))).metadata).toEqual({ format: "pt" });
  await truncate(path, 5000);
  await expect(openSafetensors(path)).rejects.toThrow(/it is cut/);
});

it("leaves the old file and no half-written one when a tensor fails", async () => {
  const place = await folder();
  const path = join(place, "model.safetensors");
  await writeFile(path, "old");
  const failing = {
    name: "a",
    dtype: "F32" as const,
    shape: [1],
    data: () => Promise.reject(new Error("lost")),
  };
  await expect(writeSafetensors(path, [failing])).rejects.toThrow("lost");
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(place)).toEqual(["model.safetensors"]);
});

it("takes entries from an async iterable", async () => {
  const path = join(await folder(), "model.safetensors");
  async function* entries() {
    for (const n of [1, 2]) {
      await null;
      yield { name: `t${n}`, dtype: "F32" as const, shape: [n], data: new Float32Array(n).fill(n) };
    }
  }
  await writeSafetensors(path, entries());
  const parsed = parseSafetensors(new Uint8Array(await readFile(path)));
  expect([...parsed.readFloat32("t2")]).toEqual([2, 2]);
  expect([...parsed.tensors.keys()]).toEqual(["t1", "t2"]);
});

it("syncs the file before, and its folder after, the rename", async () => {
  const place = await folder();
  const path = join(place, "model.safetensors");
  opened.length = 0;
  await writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [1], data: Float32Array.of(1) }]);
  expect(opened).toEqual([`${path}.${process.pid}.part`, place]);
});

it("says in one sentence that the disk is full, and leaves the old file", async () => {
  const place = await folder();
  const path = join(place, "model.safetensors");
  await writeFile(path, "old");
  full.after = 1;
  const data = Float32Array.of(1);
  const writing = writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [1], data }]);
  await expect(writing).rejects.toThrow(
    expect.objectContaining({
      name: "DiskFullError",
      message: `The disk is full: ${path} does not fit on it. What was there before is unchanged.`,
    }),
  );
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(place)).toEqual(["model.safetensors"]);
});
