import "@tensorflow/tfjs";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it, vi } from "vitest";
import { NonFiniteError } from "../index.ts";
import { lockRun } from "./run-lock.ts";
import { crc32c, encodeRecord } from "./tensorboard.ts";
import { tinyRun } from "./tiny-run.testing.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const place = () => mkdtemp(join(tmpdir(), "fdiv-run-"));
const timings = new Set(["seconds", "tokensPerSecond", "examplesPerSecond", "peakMemoryMiB"]);
const curve = async (directory: string) =>
  (await readFile(join(directory, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map(
      (line) =>
        JSON.parse(line, (key, value) => (timings.has(key) ? undefined : value)) as Record<string, number>,
    );

it("learns, and the split into micro-batches changes nothing", async () => {
  const whole = await tinyRun(join(await place(), "a"), { microBatchLength: 100 });
  const split = await tinyRun(join(await place(), "a"), { microBatchLength: 2 });
  expect(whole.weights[0]).toBeCloseTo(1, 0);
  expect(whole.weights[1]).toBeCloseTo(-2, 0);
  whole.weights.forEach((weight, i) => {
    expect(split.weights[i]).toBeCloseTo(weight, 5);
  });
});

it("writes the same curve however the batch is split", async () => {
  const [whole, split] = [join(await place(), "a"), join(await place(), "a")];
  await tinyRun(whole, { microBatchLength: 100 });
  await tinyRun(split, { microBatchLength: 2 });
  const [one, other] = [await curve(whole), await curve(split)];
  expect(other).toHaveLength(one.length);
  one.forEach((row, i) => {
    expect(Object.keys(other[i]!)).toEqual(Object.keys(row));
    for (const [name, value] of Object.entries(row)) expect(other[i]![name], name).toBeCloseTo(value, 5);
  });
});

it("keeps the memory of 10,000 steps written to a directory flat", async () => {
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--expose-gc");
  const collect = (await import("node:vm")).runInNewContext("gc") as () => void;
  const used: { heap: number; buffers: number; tensors: number }[] = [];
  await tinyRun(join(await place(), "a"), {
    steps: 12_000,
    checkpointEvery: 1000,
    evaluateEvery: 1000,
    callbacks: {
      onStep({ step }) {
        if (step !== 2000 && step !== 12_000) return;
        collect();
        const { heapUsed: heap, external: buffers } = process.memoryUsage();
        used.push({ heap, buffers, tensors: tf.memory().numTensors });
      },
    },
  });
  const [early, late] = used;
  expect(late!.tensors).toBe(early!.tensors);
  expect(late!.heap - early!.heap).toBeLessThan(600_000);
  // Buffers outside of the heap: a hundred bytes a step would be a megabyte.
  expect(late!.buffers - early!.buffers).toBeLessThan(1e6);
}, 120_000);

it("puts the best parameters back", async () => {
  const directory = join(await place(), "a");
  const { weights, restored } = await tinyRun(directory, { sizes: [0, 0, 5, 1], steps: 40, restore: true });
  const { weights: atBest } = await tinyRun(join(await place(), "b"), { steps: 20 });
  expect(restored).toBe(true);
  expect(weights).toEqual(atBest);
  const none = await tinyRun(join(await place(), "c"), {
    sizes: [Number.NaN, Number.NaN],
    steps: 10,
    restore: true,
  });
  expect(none.restored).toBe(false);
});

it("knows the peak of memory", async () => {
  const directory = join(await place(), "a");
  await tinyRun(directory, { steps: 2 });
  const rows = (await readFile(join(directory, "metrics.jsonl"), "utf8")).trim().split("\n");
  const peaks = rows.map((line) => (JSON.parse(line) as { peakMemoryMiB?: number }).peakMemoryMiB);
  const resident = process.memoryUsage().rss / 2 ** 20;
  expect(Math.max(...peaks.map((peak) => peak ?? 0))).toBeGreaterThan(0.5 * resident);
});

it("continues bit for bit after kill -9, without a line twice", async () => {
  const [straight, killed] = [join(await place(), "a"), join(await place(), "a")];
  const { weights } = await tinyRun(straight);
  const script = fileURLToPath(new URL("./tiny-run.testing.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@fdiv/source", "--import", "tsx", script, killed], {
    stdio: "ignore",
  });
  await vi.waitFor(
    async () =>
      expect((await readFile(join(killed, "metrics.jsonl"), "utf8")).split("\n").length).toBeGreaterThan(25),
    { timeout: 40_000, interval: 10 },
  );
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  expect((await curve(killed)).length).toBeLessThan(60);
  const resumed = await tinyRun(killed, { resume: true });
  expect(resumed.weights).toEqual(weights);
  expect(await curve(killed)).toEqual(await curve(straight));
});

it("passes over a damaged checkpoint and says so", async () => {
  const directory = join(await place(), "a");
  const { weights } = await tinyRun(directory);
  const [, last] = (await readdir(join(directory, "checkpoints"))).sort();
  await truncate(join(directory, "checkpoints", last!, "parameters.safetensors"), 20);
  const told: string[] = [];
  const resumed = await tinyRun(directory, { resume: true, tell: (message) => told.push(message) });
  expect(resumed.weights).toEqual(weights);
  expect(told).toEqual([
    expect.stringMatching(/parameters\.safetensors is damaged.*The one before it is tried/),
  ]);
});

it("refuses to continue when no checkpoint is whole, or another run's, and changes nothing", async () => {
  const directory = join(await place(), "a");
  await tinyRun(directory);
  const texts = () =>
    Promise.all(["metrics.jsonl", "config.json"].map((name) => readFile(join(directory, name), "utf8")));
  const before = await texts();
  await expect(tinyRun(directory, { resume: true, fingerprint: "other", steps: 90 })).rejects.toThrow(
    /another configuration .*Changed: steps was 60, is 90\.$/,
  );
  await expect(tinyRun(directory, { resume: true, fingerprint: "other" })).rejects.toThrow(
    /other data.* No key of config\.json has changed\.$/,
  );
  expect(await texts()).toEqual(before);
  for (const name of await readdir(join(directory, "checkpoints")))
    await truncate(join(directory, "checkpoints", name, "parameters.safetensors"), 20);
  await expect(tinyRun(directory, { resume: true })).rejects.toThrow(/none of the 2 checkpoints is whole/);
  expect(await texts()).toEqual(before);
});

it("adds nothing to a run that is finished, or that stopped for want of gain", async () => {
  const done = join(await place(), "a");
  const early = join(await place(), "a");
  const stops = { patience: 2, sizes: [3, 2, 1] };
  const first = await tinyRun(done, { checkpointEvery: 10 });
  const stopped = await tinyRun(early, stops);
  expect(stopped.result).toMatchObject({ stopped: "no-gain", steps: 20, best: { step: 0, value: 3 } });
  const curves = [await curve(done), await curve(early)];
  for (let i = 0; i < 2; i++) {
    expect((await tinyRun(done, { checkpointEvery: 10, resume: true })).weights).toEqual(first.weights);
    const again = await tinyRun(early, { ...stops, resume: true });
    expect(again.result).toMatchObject({ stopped: "no-gain", steps: 20 });
    expect(again.weights).toEqual(stopped.weights);
  }
  expect([await curve(done), await curve(early)]).toEqual(curves);
});

it("never takes NaN for the best", async () => {
  const { result } = await tinyRun(join(await place(), "a"), {
    sizes: [Number.NaN, 1, Number.NaN, 2],
    steps: 30,
  });
  expect(result.best?.step).toBe(30);
});

it("puts back any checkpoint that a killed process had moved aside", async () => {
  const directory = join(await place(), "a");
  const { weights } = await tinyRun(directory);
  for (const name of await readdir(join(directory, "checkpoints")))
    await rename(join(directory, "checkpoints", name), join(directory, "checkpoints", `${name}.aside`));
  const resumed = await tinyRun(directory, { resume: true });
  expect(resumed.result).toMatchObject({ steps: 60 });
  expect(resumed.weights).toEqual(weights);
});

it("tells a checkpoint of another model from a damaged one, and tries no older one", async () => {
  const directory = join(await place(), "a");
  await tinyRun(directory);
  const told: string[] = [];
  const other = tinyRun(directory, { resume: true, width: 4, tell: (message) => told.push(message) });
  await expect(other).rejects.toThrow(/step-000000060: parameter weight is missing or has another shape/);
  expect(told).toEqual([]);
});

it("puts back the best checkpoint that a killed process had moved aside", async () => {
  const directory = join(await place(), "a");
  await tinyRun(directory);
  await rename(join(directory, "best"), join(directory, "best.aside"));
  await mkdir(join(directory, "best.12345.part"));
  await tinyRun(directory, { resume: true });
  const names = (await readdir(directory)).filter((name) => name.startsWith("best"));
  expect(names).toEqual(["best"]);
});

it("overwrites no run, and shares no directory", async () => {
  const directory = join(await place(), "a");
  await tinyRun(directory, { steps: 3 });
  await expect(tinyRun(directory)).rejects.toThrow(/already holds a run\. Add --resume/);
  await writeFile(
    join(directory, "run.lock"),
    JSON.stringify({ pid: 1, host: (await import("node:os")).hostname() }),
  );
  await expect(tinyRun(directory, { resume: true })).rejects.toThrow(/in use by process 1/);
  await writeFile(
    join(directory, "run.lock"),
    JSON.stringify({ pid: 2 ** 22 + 1, host: (await import("node:os")).hostname() }),
  );
  const unlock = await lockRun(directory);
  await unlock();
  expect(existsSync(join(directory, "run.lock"))).toBe(false);
});

it("stops at a loss that is not finite, keeps what was good, and writes the batch down", async () => {
  const directory = join(await place(), "a");
  await expect(tinyRun(directory, { poison: 6 * 9 + 1 })).rejects.toThrow(NonFiniteError);
  const written = JSON.parse(await readFile(join(directory, "non-finite-batch.json"), "utf8")) as {
    step: number;
    batch: unknown[];
  };
  expect(written.step).toBe(9);
  expect(written.batch.flat()).toHaveLength(6);
  expect(await readdir(join(directory, "checkpoints"))).toEqual(["step-000000007"]);
});

it("keeps memory flat", async () => {
  await tinyRun(join(await place(), "warm"), { steps: 5 });
  const before = tf.memory().numTensors;
  await tinyRun(join(await place(), "a"), { steps: 300 });
  expect(tf.memory().numTensors).toBe(before);
});

it("writes TensorBoard's records as documented", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  const record = encodeRecord({ seconds: 1.5, step: 300, scalars: { loss: 0.25 } });
  const view = new DataView(record.buffer);
  const length = view.getUint32(0, true);
  expect(record.length).toBe(length + 16);
  const payload = record.subarray(12, 12 + length);
  // wall_time, step as a varint, then summary { value { tag "loss", simple_value .25 } }.
  expect([...payload.subarray(9, 12)]).toEqual([0x10, 0xac, 0x02]);
  expect(new DataView(payload.buffer, payload.byteOffset).getFloat64(1, true)).toBe(1.5);
  expect([...payload.subarray(12)]).toEqual([
    0x2a, 13, 0x0a, 11, 0x0a, 4, 108, 111, 115, 115, 0x15, 0, 0, 0x80, 0x3e,
  ]);
});

it("checksums TensorBoard's records as an implementation of CRC-32C in Python does", () => {
  const record = encodeRecord({ seconds: 1.5, step: 300, scalars: { loss: 0.25 } });
  expect(Buffer.from(record).toString("hex")).toBe(
    "1b000000000000001a0d9e1309000000000000f83f10ac022a0d0a0b0a046c6f7373150000803e9908deed",
  );
});
