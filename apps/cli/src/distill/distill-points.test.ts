import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, flags } from "../command-line.testing.ts";

let place: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "fdiv-distill-points-"));
});

describe("fdiv distill on points", () => {
  it("brings a student of an exact mixture nearer than its start, in exact divergence", async () => {
    const run = join(place, "ring");
    const settings = [
      "data.mixture.ring={ modes: 4, radius: 1, deviation: 0.2 }",
      "teacher={ exact: true, train: { net: { hidden: 32, layers: 2 }, steps: 250, batchSize: 64, noise: { kind: log-uniform, min: 0.1, max: 5 } } }",
      "noise={ kind: log-uniform, min: 0.1, max: 5 }",
      "fakeNoise={ kind: log-uniform, min: 0.1, max: 5 }",
      "sigmaMax=5",
      "ratio={ source: samples, samples: 128 }",
      "divergence=js",
      "schedule={ generatorEvery: 2, criticMeanwhile: train }",
      "optimizers={ generator: { learningRate: 0.002 }, fake: { learningRate: 0.004 } }",
      "batchSize=64",
      "evaluation={ samples: 300, teacherSteps: [8], sigma: 0.2, divergences: [jensen-shannon] }",
    ];
    const attempt = async (steps: number) => {
      const output = `${run}-${steps}`;
      const { code, err } = await fdiv(
        "distill",
        ...flags([...settings, `steps=${steps}`, `output=${output}`]),
      );
      expect(err).toMatch(/done: /);
      expect(code).toBe(0);
      const { generator } = JSON.parse(await readFile(join(output, "evaluation.json"), "utf8"));
      expect(await readFile(join(output, "report.html"), "utf8")).toMatch(/Densities/);
      return generator.rows.map((row: { figures: Record<string, number> }) => row.figures);
    };
    const name = "jensen-shannon at σ 0.2";
    const [[start], [student, teacher, real]] = [await attempt(2), await attempt(240)];
    expect(student[name]).toBeLessThan(0.5 * start[name]);
    expect(student["modes covered"]).toBe(4);
    expect(real[name]).toBeLessThan(student[name]);
    expect(teacher[name]).toBeLessThan(student[name] + 0.05);
  }, 120_000);
});
