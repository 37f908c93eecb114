import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { fdiv, figuresOf, flags, saveTinyModel, signalled } from "../command-line.testing.ts";

// Several processes a test, and a machine that may be busy.
vi.setConfig({ testTimeout: 600_000 });

let place: string;

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-resume-"));
  await saveTinyModel(join(place, "model"));
  const pairs = Array.from({ length: 60 }, (_, i) => ({
    prompt: `the ${i % 2 ? "cat" : "dog"} ${"very ".repeat(i % 5)}is`,
    chosen: i % 3 ? " happy" : " very good",
    rejected: i % 3 ? " sad" : " very bad",
  }));
  await writeFile(join(place, "pairs.jsonl"), pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
});

type Row = Record<string, number>;
const lines = async (run: string, file: string): Promise<Row[]> =>
  (await readFile(join(run, file), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const curve = async (run: string) => figuresOf(await lines(run, "metrics.jsonl"));
const weights = (run: string) => readFile(join(run, "model", "model.safetensors"));

/** Starts a run in a process of its own and sends it a signal after some steps; its exit code, null when it was killed. */
async function stopAfter(steps: number, signal: NodeJS.Signals, run: string, settings: readonly string[]) {
  const hasReached = async () =>
    expect(
      (await lines(run, "metrics.jsonl")).filter(({ loss }) => loss !== undefined).length,
    ).toBeGreaterThan(steps);
  return signalled(["dpo", ...flags(settings)], signal, hasReached, { timeout: 200_000 });
}

async function expectSame(run: string, straight: string): Promise<void> {
  expect(await curve(run)).toEqual(await curve(straight));
  expect(await lines(run, "samples.jsonl")).toEqual(await lines(straight, "samples.jsonl"));
  expect((await weights(run)).equals(await weights(straight))).toBe(true);
}

describe("fdiv dpo", () => {
  it("logs KL, entropy and reward of its samples, and goes on after Ctrl-C as if nothing had been", async () => {
    const settings = (output: string) => [
      `model=${join(place, "model")}`,
      `data.train=${join(place, "pairs.jsonl")}`,
      "data.eval=0.3",
      "data.template=plain",
      "divergence=js",
      "batchSize=4",
      "steps=70",
      "epochs=20",
      "learningRate=0.01",
      "checkpointEvery=9",
      "samples={ every: 10, count: 6, maxTokens: 5, reward: sentiment }",
      `cache=${join(place, "cache")}`,
      `output=${output}`,
    ];
    const [straight, stopped] = [join(place, "straight"), join(place, "stopped")];
    expect((await fdiv("dpo", ...flags(settings(straight)))).code).toBe(0);
    expect(await stopAfter(23, "SIGINT", stopped, settings(stopped))).toBe(130);
    expect((await curve(stopped)).length).toBeLessThan((await curve(straight)).length);
    expect((await fdiv("dpo", stopped, "--resume")).code).toBe(0);
    await expectSame(stopped, straight);

    const watched = (await lines(straight, "metrics.jsonl")).filter((row) => "eval/samples/kl" in row);
    expect(watched.map(({ step }) => step)).toEqual([0, 10, 20, 30, 40, 50, 60, 70]);
    const [before, after] = [watched[0]!, watched.at(-1)!];
    expect(before["eval/samples/kl"]).toBeCloseTo(0, 5);
    expect(before["eval/samples/jensen-shannon"]).toBeCloseTo(0, 5);
    expect(after["eval/samples/kl"]).toBeGreaterThan(0.1);
    expect(after["eval/samples/kl/standard-error"]).toBeGreaterThan(0);
    // A tiny model knows nothing: its laws are near uniform over thirteen tokens.
    expect(before["eval/samples/entropy"]).toBeCloseTo(Math.log(13), 1);
    expect(after["eval/samples/entropy"]).toBeLessThan(before["eval/samples/entropy"]!);
    expect(after["eval/samples/reward"]).toBeGreaterThan(before["eval/samples/reward"]!);
    expect(await lines(straight, "samples.jsonl")).toHaveLength(8 * 6);
  });

  it("draws no samples when told so, and refuses prompts that leave no room", async () => {
    const settings = (...more: string[]) =>
      flags([
        `model=${join(place, "model")}`,
        `data.train=${join(place, "pairs.jsonl")}`,
        "steps=2",
        `cache=${join(place, "cache")}`,
        ...more,
      ]);
    const none = join(place, "none");
    expect((await fdiv("dpo", ...settings("samples=false", `output=${none}`))).code).toBe(0);
    expect(existsSync(join(none, "samples.jsonl"))).toBe(false);
    const long = await fdiv(
      "dpo",
      ...settings("samples={ prompts: [the cat is], maxTokens: 31 }", `output=${join(place, "no")}`),
    );
    expect(long.err).toMatch(
      /"the cat is" has \d tokens, so the model's context of 32 has no room for 31 more/,
    );
    expect(long.code).toBe(1);
  });
});

const data = process.env.FDIV_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const stories = join(data, "stories260K/stories260K.bin");
describe.skipIf(!existsSync(stories))("fdiv dpo on stories260K and hh-rlhf (needs FDIV_DATA)", () => {
  it("continues the same curve after kill -9", async () => {
    const settings = (output: string) => [
      `model=${stories}`,
      `data.train=${join(data, "hh-rlhf/harmless-base/test.jsonl.gz")}`,
      "data.limit=60",
      "data.eval=0.2",
      "data.maxLength=128",
      "batchSize=4",
      "steps=16",
      "epochs=2",
      "learningRate=1e-4",
      "checkpointEvery=3",
      "evaluateEvery=5",
      "samples={ every: 4, count: 4, maxTokens: 12 }",
      `cache=${join(place, "cache")}`,
      `output=${output}`,
    ];
    const [straight, killed] = [join(place, "real"), join(place, "real-killed")];
    const whole = await fdiv("dpo", ...flags(settings(straight)));
    expect(whole.err).toMatch(/done: /);
    expect(await stopAfter(7, "SIGKILL", killed, settings(killed))).toBeNull();
    expect(existsSync(join(killed, "model"))).toBe(false);
    const resumed = await fdiv("dpo", ...flags(settings(killed)), "--resume");
    expect(resumed.err).toMatch(/continuing after step (6|9|12|15)/);
    expect(resumed.code).toBe(0);
    await expectSame(killed, straight);
  });
});
