import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { lockRun, RunLockedError } from "./run-lock.ts";

const place = () => mkdtemp(join(tmpdir(), "fdiv-lock-"));
const lock = (directory: string) => join(directory, "run.lock");
const gone = 2 ** 22 + 1;

it("is held once in a process, however the directory is called", async () => {
  const directory = await place();
  const other = `${directory}-link`;
  await symlink(directory, other);
  const unlock = await lockRun(directory);
  await expect(lockRun(directory)).rejects.toThrow(/another run of this process/);
  await expect(lockRun(other)).rejects.toThrow(RunLockedError);
  expect(JSON.parse(await readFile(lock(directory), "utf8"))).toMatchObject({ pid: process.pid });
  await unlock();
  expect(existsSync(lock(directory))).toBe(false);
  await (await lockRun(other))();
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockRun(directory)));
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

it("refuses the lock of a living process, of another machine, and one that says no process", async () => {
  const directory = await place();
  const attempt = async (text: string) => {
    await writeFile(lock(directory), text);
    const error = await lockRun(directory).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(RunLockedError);
    expect(await readFile(lock(directory), "utf8")).toBe(text);
    return (error as Error).message;
  };
  expect(await attempt(JSON.stringify({ pid: process.ppid, host: hostname() }))).toMatch(
    `in use by process ${process.ppid}.`,
  );
  expect(await attempt(JSON.stringify({ pid: gone, host: "elsewhere" }))).toMatch(
    `in use by process ${gone} on elsewhere`,
  );
  for (const text of ["", "{", "null", "7", '{"pid":"1"}'])
    expect(await attempt(text)).toMatch(/does not say by which process.*delete that file/s);
  expect(await readdir(directory)).toEqual(["run.lock"]);
});

it("takes over the lock of a process that is gone, of its own number too, and gives back only its own", async () => {
  for (const pid of [gone, process.pid]) {
    const directory = await place();
    await writeFile(lock(directory), JSON.stringify({ pid, host: hostname() }));
    const unlock = await lockRun(directory);
    expect(await readdir(directory)).toEqual(["run.lock"]);
    await writeFile(lock(directory), JSON.stringify({ pid: gone, host: "elsewhere", token: "another" }));
    await unlock();
    expect(existsSync(lock(directory))).toBe(true);
  }
});
