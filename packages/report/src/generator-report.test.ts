import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "fast-png";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { imageGrid, type RunData, renderReport } from "./index.ts";
import { readRun } from "./node/index.ts";

const bins = [{ from: 0.4, to: 0.6, count: 9, confidence: 0.5, accuracy: 0.4 }];
const row = (name: string) => ({ name, samples: 24, figures: { "Fréchet (classifier)": 1.25, recall: 0.5 } });
const run = (name: string): RunData => ({
  name,
  config: { divergence: "jensen-shannon" },
  rows: [1, 2, 3].map((step) => ({ step, loss: 1 / step, matchingLoss: step, weightVariance: 0.1 * step })),
  evaluations: [],
  samples: [],
  evaluation: {
    generator: {
      rows: [row("student, 1 step"), row("real")],
      calibration: [{ name: "low noise", ece: 0.05, bins }],
      points: [
        { name: "student", points: Array.from({ length: 400 }, (_, i) => [Math.sin(i), Math.cos(7 * i)]) },
      ],
    },
  },
  pictures: [
    { name: "student", png: imageGrid([0, 1, -1, 0.5], { count: 1, height: 2, width: 2, channels: 1 }) },
  ],
  notes: [],
});

describe("an image grid", () => {
  it("puts each value where it belongs, cut to [−1, 1], zoomed, with lines between", () => {
    const values = [-1, 1, 0, 9, -9, 0.5, 1, -1];
    const { width, height, data, channels } = decode(
      imageGrid(values, { count: 2, height: 2, width: 2, channels: 1, columns: 2, zoom: 3 }),
    );
    expect([width, height, channels]).toEqual([2 * 7 + 1, 8, 1]);
    const at = (image: number, y: number, x: number) => data[(1 + 3 * y) * width + 1 + 7 * image + 3 * x];
    expect([at(0, 0, 0), at(0, 0, 1), at(0, 1, 0), at(0, 1, 1)]).toEqual([0, 255, 128, 255]);
    expect([at(1, 0, 0), at(1, 0, 1), at(1, 1, 0), at(1, 1, 1)]).toEqual([0, 191, 255, 0]);
    expect(data[0]).toBe(128);
  });

  it("keeps colours, and leaves places without an image empty", () => {
    const picture = decode(
      imageGrid([1, -1, 0], { count: 1, height: 1, width: 1, channels: 3, columns: 2, zoom: 1 }),
    );
    expect([...picture.data.slice(3 * (picture.width + 1), 3 * (picture.width + 2))]).toEqual([255, 0, 128]);
    expect(() => imageGrid([1], { count: 2, height: 1, width: 1, channels: 1 })).toThrow(
      /1 values are not 2/,
    );
    expect(() => imageGrid([1, 1], { count: 1, height: 1, width: 1, channels: 2 })).toThrow(/2 channels/);
  });
});

describe("a report of generators", () => {
  it("shows measures with the real row, pictures, densities, calibration, curves, and what was spent", () => {
    const html = renderReport([run("a"), { ...run("b"), pictures: [] }]);
    const { document } = parseHTML(html);
    expect([...document.querySelectorAll("h2")].map((h) => h.textContent)).toEqual([
      "Measures",
      "Images",
      "Densities",
      "Training",
      "Calibration of the ratio",
      "Runs",
    ]);
    expect(document.querySelectorAll("img")).toHaveLength(1);
    expect(document.querySelector("img")!.getAttribute("src")).toMatch(/^data:image\/png;base64,iVBOR/);
    expect(html).toMatch(/distribution matching[\s\S]*variance of the weights/);
    expect(html).not.toMatch(/src="http|<script/);
  });

  it("lets no name become markup", () => {
    const hostile = run("a");
    const evil = `"><script>alert(1)</script>`;
    hostile.evaluation.generator!.rows[0]!.name = evil;
    hostile.evaluation.generator!.points![0]!.name = evil;
    hostile.evaluation.generator!.calibration![0]!.name = evil;
    hostile.pictures![0]!.name = evil;
    expect(parseHTML(renderReport([hostile])).document.querySelectorAll("script")).toHaveLength(0);
  });
});

describe("a run directory of a distillation", () => {
  it("is read with its pictures; what is no PNG, and a malformed evaluation, are noted", async () => {
    const directory = await mkdtemp(join(tmpdir(), "fdiv-generator-"));
    await mkdir(join(directory, "images"));
    await writeFile(join(directory, "images", "student.png"), run("a").pictures![0]!.png);
    await writeFile(join(directory, "images", "fake.png"), "<svg onload=alert(1)>");
    await writeFile(join(directory, "evaluation.json"), JSON.stringify(run("a").evaluation));
    const read = await readRun(directory);
    expect(read.pictures!.map(({ name }) => name)).toEqual(["student"]);
    expect(read.previews).toEqual([]);
    await mkdir(join(directory, "previews"));
    for (let step = 100; step <= 1300; step += 100)
      await writeFile(
        join(directory, "previews", `step-${String(step).padStart(6, "0")}.png`),
        run("a").pictures![0]!.png,
      );
    const { previews } = await readRun(directory);
    expect(previews!.map(({ name }) => Number(name.slice(5)))).toEqual([100, 300, 600, 800, 1100, 1300]);
    expect(read.notes.join()).toMatch(/images\/fake.png is no PNG/);
    expect(read.evaluation.generator!.rows).toHaveLength(2);
    await writeFile(
      join(directory, "evaluation.json"),
      JSON.stringify({ generator: { rows: [{ name: 3, figures: "x" }] } }),
    );
    const bad = await readRun(directory);
    expect(bad.evaluation.generator).toBeUndefined();
    expect(bad.notes.join()).toMatch(/"generator" is malformed/);
    expect(renderReport([bad])).toContain("malformed");
    const accurate = { ...run("a").evaluation.generator, classifierAccuracy: "<b>" };
    await writeFile(join(directory, "evaluation.json"), JSON.stringify({ generator: accurate }));
    expect((await readRun(directory)).notes.join()).toMatch(/"generator" is malformed/);
  });
});
