import { mkdtemp, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseSafetensors } from "../safetensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors-file.ts";

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
