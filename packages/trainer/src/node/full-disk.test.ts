import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { lockRun } from "./run-lock.ts";
import { tinyRun } from "./tiny-run.testing.ts";

/** Writes that still succeed. */
const room = vi.hoisted(() => ({ writes: Number.POSITIVE_INFINITY }));

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const open: typeof real.open = async (path, ...rest) => {
    const handle = await real.open(path, ...rest);
    const full = () => {
      if (room.writes-- > 0) return;
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    const [write, append] = [handle.writeFile.bind(handle), handle.appendFile.bind(handle)];
    handle.writeFile = async (...data) => {
      full();
      return write(...data);
    };
    handle.appendFile = async (...data) => {
      full();
      return append(...data);
    };
    return handle;
  };
  return { ...real, open };
});

beforeAll(async () => {
  await tf.setBackend("cpu");
});
afterEach(() => {
  room.writes = Number.POSITIVE_INFINITY;
});

const place = async () => join(await mkdtemp(join(tmpdir(), "fdiv-full-")), "run");
const losses = async (directory: string) =>
  (await readFile(join(directory, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => (({ step, loss, ...rest }) => [step, loss, rest["eval/size"]])(JSON.parse(line)));

it("says that the disk is full wherever that happens, and a resume loses nothing", async () => {
  const straight = await place();
  const { weights } = await tinyRun(straight, { steps: 24 });
  room.writes = 1e6;
  await tinyRun(await place(), { steps: 24 });
  const writes = 1e6 - room.writes;
  expect(writes).toBeGreaterThan(60);
  for (let after = 0; after < writes; after += after < 12 ? 1 : 7) {
    const directory = await place();
    room.writes = after;
    await expect(tinyRun(directory, { steps: 24 }), `after ${after} writes`).rejects.toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^The disk is full: .*run/) }),
    );
    room.writes = Number.POSITIVE_INFINITY;
    const resumed = await tinyRun(directory, { steps: 24, resume: true });
    expect(resumed.weights, `after ${after} writes`).toEqual(weights);
    expect(await losses(directory)).toEqual(await losses(straight));
  }
}, 60_000);

it("gives the lock back though the last lines can't be written", async () => {
  const directory = await place();
  room.writes = 20;
  await expect(tinyRun(directory)).rejects.toThrow(/The disk is full/);
  room.writes = Number.POSITIVE_INFINITY;
  await (await lockRun(directory))();
});
