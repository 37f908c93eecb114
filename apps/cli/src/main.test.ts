import { existsSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { fdiv, saveTinyModel } from "./command-line.testing.ts";

let place: string;
let settings: string[];

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-cli-"));
  await saveTinyModel(join(place, "model"));
  const pairs = Array.from({ length: 60 }, (_, i) => ({
    prompt: `the ${i % 2 ? "cat" : "dog"} ${"very ".repeat(i % 5)}is`,
    chosen: i % 3 ? " happy" : " very good",
    rejected: i % 3 ? " sad" : " very bad",
  }));
  await writeFile(join(place, "pairs.jsonl"), pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
  settings = [
    `model=${join(place, "model")}`,
    `data.train=${join(place, "pairs.jsonl")}`,
    "data.eval=0.3",
    "data.template=plain",
    "batchSize=8",
    "epochs=6",
    "learningRate=0.01",
    `cache=${join(place, "cache")}`,
  ].flatMap((setting) => ["--set", setting]);
});

describe("fdiv dpo", () => {
  it("learns the preference, reports, and its model generates", async () => {
    const run = join(place, "js");
    const trained = await fdiv("dpo", ...settings, "--set", "divergence=js", "--set", `output=${run}`);
    expect(trained.err).toMatch(/backend (tensorflow|wasm)/);
    expect(trained.code).toBe(0);
    const evaluation = JSON.parse(await readFile(join(run, "evaluation.json"), "utf8"));
    expect(evaluation.accuracy.reward.value).toBeGreaterThan(0.9);
    const { before, after, change } = evaluation.accuracy;
    expect(change.value).toBeCloseTo(after.value - before.value, 10);
    expect(after.value).toBeGreaterThan(0.9);
    const rows = (await readFile(join(run, "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(
      rows.findLast((row) => "eval/rewards/accuracies" in row)["eval/rewards/accuracies"],
    ).toBeGreaterThan(0.9);
    const page = join(place, "report.html");
    const reported = await fdiv("report", run, "-o", page);
    expect(reported).toMatchObject({ code: 0, out: "", err: `report: ${page}\n` });
    expect(await readFile(page, "utf8")).toContain("held out: loss");
    const said = await fdiv(
      "generate",
      "--model",
      join(run, "model"),
      "--prompt",
      "the cat is",
      "--temperature",
      "0",
      "--max-tokens",
      "2",
      "--quiet",
    );
    expect(said.err).toBe("");
    expect(said.code).toBe(0);
    expect(said.out).toMatch(/^[a-z ]*\n$/);
  });

  it("trains an adapter alone, and the adapter switched off is the reference", async () => {
    const run = join(place, "lora");
    const lora = ["--set", "lora.rank=4", "--set", "divergence=forward-kl", "--set", `output=${run}`];
    const { code, err } = await fdiv("dpo", ...settings, ...lora);
    expect(err).toMatch(/rewards\/accuracies 0\.5 /);
    expect(code).toBe(0);
    expect(existsSync(join(run, "adapter", "adapter_model.safetensors"))).toBe(true);
    expect(
      JSON.parse(await readFile(join(run, "evaluation.json"), "utf8")).accuracy.reward.value,
    ).toBeGreaterThan(0.9);
  });

  it("keeps an adapter's base in bfloat16 where that is asked, and refuses it where every weight is trained", async () => {
    const half = [
      ...settings,
      "--set",
      "storage=bfloat16",
      "--set",
      "steps=2",
      "--set",
      `output=${join(place, "half")}`,
    ];
    const trained = await fdiv("dpo", ...half, "--set", "lora.rank=4");
    expect(trained.err).toMatch(/peak of memory/);
    expect(trained.code).toBe(0);
    const refused = await fdiv("dpo", ...half, "--set", `output=${join(place, "whole")}`);
    expect(refused.err).toMatch(/storage: bfloat16 is for frozen weights/);
    expect(refused.code).not.toBe(0);
  });

  it("refuses what it can't do, in one message, before it trains", async () => {
    const run = (...extra: string[]) =>
      fdiv("dpo", ...settings, "--set", `output=${join(place, "no")}`, ...extra);
    const cases: [string[], RegExp][] = [
      [
        ["--set", "divergence=pearson-chi2"],
        /does not admit a preference loss: its f′\(0\) = -2\.000 is finite/,
      ],
      [["--set", "divergence=jensen-shanon"], /Did you mean "jensen-shannon"/],
      [["--set", "betta=1"], /unknown key "betta"; did you mean "beta"/],
      [["--set", "loss=ipo", "--set", "divergence=js"], /IPO is derived for reverse-kl alone/],
      [["--set", "data.train=absent.jsonl"], /absent\.jsonl: no such file/],
      [["--backend", "webgpu"], /To get it: npm i/],
      [["--set", "data.eval=0", "--set", "patience=2"], /patience: there are no held-out rows/],
      [["--set", "data.format=text"], /data\.format: Invalid option/],
    ];
    for (const [extra, message] of cases) {
      const { code, out, err } = await run(...extra);
      expect(err).toMatch(message);
      expect(err).not.toMatch(/ {4}at /);
      expect(code).toBe(1);
      expect(out).toBe("");
    }
    expect(existsSync(join(place, "no"))).toBe(false);
  });

  it("names file and line of a malformed row, and trains nothing on a dry run", async () => {
    const file = join(place, "bad.jsonl");
    await writeFile(
      file,
      '{"prompt":"the","chosen":" a","rejected":" cat"}\n{"prompt":"the","chosen":" a"\n',
    );
    const bad = await fdiv(
      "dpo",
      ...settings,
      "--set",
      `data.train=${file}`,
      "--set",
      `output=${join(place, "no")}`,
    );
    expect(bad.err).toMatch(/bad\.jsonl:2: malformed JSON/);
    const dry = await fdiv("dpo", ...settings, "--set", `output=${join(place, "no")}`, "--dry-run");
    expect(dry.err).toMatch(/would train \d+ steps of 8 pairs/);
    expect(dry.code).toBe(0);
    expect(existsSync(join(place, "no"))).toBe(false);
  });
});

describe("the command line", () => {
  it("helps, and calls misuse what it is", async () => {
    const help = await fdiv("--help");
    expect(help.out).toMatch(/sft.*dpo.*generate.*eval.*report.*convert.*doctor.*demo/s);
    expect(help.code).toBe(0);
    expect((await fdiv("generate")).code).toBe(2);
    expect((await fdiv("genrate")).err).toMatch(/Did you mean generate/);
    const { out } = await fdiv("dpo", "--schema");
    expect(JSON.parse(out).properties.divergence.default).toBe("reverse-kl");
  });
});

const data = process.env.FDIV_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const stories = join(data, "stories260K/stories260K.bin");
describe.skipIf(!existsSync(stories))("on stories260K (needs FDIV_DATA)", () => {
  const story =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high";
  const tell = async (model: string) => {
    const { out } = await fdiv(
      "generate",
      "--model",
      model,
      "--temperature",
      "0",
      "--max-tokens",
      "60",
      "--quiet",
    );
    return out;
  };
  it("tells its story from llama2.c, GGUF, and what convert makes of them", async () => {
    const folder = join(place, "stories");
    const gguf = join(place, "stories.gguf");
    expect((await fdiv("convert", stories, folder)).code).toBe(0);
    expect((await fdiv("convert", folder, gguf)).code).toBe(0);
    for (const model of [stories, join(data, "stories260K/tinyllamas-stories-260k-f32.gguf"), folder, gguf])
      expect((await tell(model)).startsWith(story)).toBe(true);
  });
});
