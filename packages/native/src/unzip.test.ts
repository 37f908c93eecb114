import { existsSync } from "node:fs";
import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeZip, renameEntry } from "./made-zip.testing.ts";
import { NativeError } from "./native-error.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";
import { unzip } from "./unzip.ts";

const root = temporaryFolder();
const everything = { select: (name: string) => name };
const place = async () => {
  const folder = await mkdtemp(join(root, "case-"));
  return { folder, archive: join(folder, "a.zip"), into: join(folder, "into") };
};

describe("unzip", () => {
  it("writes the chosen entries where they belong and leaves the others out", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { "a/one.txt": "one", "a/two.txt": "two", "b/three.txt": "x".repeat(200_000) });
    let told = 0;
    const written = await unzip(archive, into, {
      select: (name) => (name.endsWith("two.txt") ? undefined : `out/${name}`),
      onBytes: (bytes) => {
        told = bytes;
      },
    });
    expect(written).toEqual(["out/a/one.txt", "out/b/three.txt"]);
    expect(await readFile(join(into, "out/a/one.txt"), "utf8")).toBe("one");
    expect((await stat(join(into, "out/b/three.txt"))).size).toBe(200_000);
    expect(existsSync(join(into, "out/a/two.txt"))).toBe(false);
    expect(told).toBe(200_003);
  });

  it.skipIf(process.platform === "win32")("keeps programs executable", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { ptxas: { content: "x", mode: 0o100755 }, data: "x" });
    await unzip(archive, into, everything);
    expect((await stat(join(into, "ptxas"))).mode & 0o111).toBe(0o111);
    expect((await stat(join(into, "data"))).mode & 0o111).toBe(0);
  });

  it.each([
    ["aa/evil.txt", "../evil.txt"],
    ["a/bb/evil.txt", "a/../../e.txt"],
    ["aevil.txt", "/evil.txt"],
    ["aa-evil.txt", "..\\evil.txt"],
    ["aa-evil.txt", "C:/evil.txt"],
  ])("refuses an archive with the entry renamed from %s to %s", async (name, hostile) => {
    const { folder, archive, into } = await place();
    await makeZip(archive, { [name]: "evil" });
    await renameEntry(archive, name, hostile);
    await expect(unzip(archive, into, everything)).rejects.toThrow(NativeError);
    // The names must not even be looked at with the selection that leaves them out.
    await expect(unzip(archive, into, { select: () => undefined })).rejects.toThrow(NativeError);
    expect(existsSync(join(folder, "evil.txt"))).toBe(false);
    expect(existsSync(join(folder, "e.txt"))).toBe(false);
  });

  it("refuses a place outside the folder, whoever chose it", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { a: "x" });
    await expect(unzip(archive, into, { select: () => "../a" })).rejects.toThrow(/leads out of the folder/);
  });

  it("refuses symbolic links", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { link: { content: "/etc/passwd", mode: 0o120777 } });
    await expect(unzip(archive, into, everything)).rejects.toThrow(/symbolic link/);
  });

  it("refuses more bytes or entries than allowed, before writing them", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { a: "x".repeat(600), b: "x".repeat(600) });
    await expect(unzip(archive, into, { ...everything, maximumBytes: 1000 })).rejects.toThrow(
      /more than 1000/,
    );
    expect(existsSync(join(into, "b"))).toBe(false);
    await expect(unzip(archive, into, { ...everything, maximumEntries: 1 })).rejects.toThrow(/2 entries/);
  });

  it("refuses an entry that unpacks to another size than it says", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { a: "x".repeat(1000) });
    const bytes = await readFile(archive);
    const central = bytes.indexOf(Buffer.from("PK\x01\x02", "latin1"));
    bytes.writeUInt32LE(10, central + 24);
    await writeFile(archive, bytes);
    await expect(unzip(archive, into, everything)).rejects.toThrow(NativeError);
  });

  it("refuses two entries of one name", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { same1: "x", same2: "y" });
    await renameEntry(archive, "same2", "same1");
    await expect(unzip(archive, into, everything)).rejects.toThrow(/same name/);
  });

  it("says that a file cut short is no zip archive", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { a: "x".repeat(1000) });
    await writeFile(archive, (await readFile(archive)).subarray(0, 60));
    await expect(unzip(archive, into, everything)).rejects.toThrow(/no readable zip archive/);
  });

  it("stops when asked to", async () => {
    const { archive, into } = await place();
    await makeZip(archive, { a: "x" });
    await expect(
      unzip(archive, into, { ...everything, signal: AbortSignal.abort(new Error("stopped")) }),
    ).rejects.toThrow("stopped");
  });
});
