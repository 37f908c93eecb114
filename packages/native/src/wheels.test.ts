import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PinnedWheel } from "./pinned-releases.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";
import { keptWheel, matchGiven, verifyWheel } from "./wheels.ts";

const root = temporaryFolder();

function wheel(project: string, content: string): PinnedWheel {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return {
    project,
    version: "1",
    file: `${project}-1.whl`,
    sha256,
    bytes: content.length,
    platforms: ["any"],
  };
}
const a = wheel("a", "content of a");
const b = wheel("b", "content of b");

describe("verifyWheel", () => {
  it("accepts the published content only", async () => {
    const path = join(root, "verified.whl");
    await writeFile(path, "content of a");
    await expect(verifyWheel(a, path)).resolves.toBeUndefined();
    await writeFile(path, "content of A");
    await expect(verifyWheel(a, path)).rejects.toThrow(/is not the a-1.whl that was published: SHA-256/);
    await writeFile(path, "content");
    await expect(verifyWheel(a, path)).rejects.toThrow(/7 bytes, where 12 bytes/);
  });
});

describe("matchGiven", () => {
  it("finds wheels by their names in files and folders", async () => {
    const folder = join(root, "given");
    await mkdir(folder);
    for (const { file } of [a, b]) await writeFile(join(folder, file), "x");
    expect([...(await matchGiven([a, b], [folder])).values()]).toHaveLength(2);
    expect((await matchGiven([a, b], [join(folder, b.file)])).get(b)).toBe(join(folder, b.file));
  });

  it("takes a single file under any name for a single wheel", async () => {
    const path = join(root, "download (1).whl");
    await writeFile(path, "x");
    expect((await matchGiven([a], [path])).get(a)).toBe(path);
    await expect(matchGiven([a, b], [path])).rejects.toThrow(/none of the wheels needed/);
  });

  it("names what is missing", async () => {
    await expect(matchGiven([a], [join(root, "nowhere")])).rejects.toThrow(/no such file or folder/);
    const empty = join(root, "empty");
    await mkdir(empty);
    await expect(matchGiven([a], [empty])).rejects.toThrow(/a-1\.whl/);
  });
});

describe("keptWheel", () => {
  it("removes a kept wheel that is no longer whole", async () => {
    const path = join(root, b.file);
    await writeFile(path, "content of b");
    expect(await keptWheel(b, root)).toBe(path);
    await writeFile(path, "content of c");
    expect(await keptWheel(b, root)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });
});
