import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { expect, it } from "vitest";
import { type RunData, renderReport } from "./index.ts";
import { readRun } from "./node/index.ts";

const range = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
const run = (name: string, loss: unknown, seed: number, accuracy: number): RunData => ({
  name,
  config: { loss, seed, output: name, beta: 0.8 },
  rows: [1, 2, 3].map((step) => ({ step, loss: 1 / step, "terms/ce": 1 / step })),
  evaluations: [0, 3].map((step) => ({ step, accuracy: step / 4 })),
  samples: [],
  evaluation: {
    distillation: {
      task: { name: "sst2", split: "validation", items: 40 },
      student: { accuracy: range(accuracy) },
      teacher: { accuracy: range(0.9) },
      nearness: { agreement: 0.8 },
      heldOut: { loss: 0.5 },
      plan: {
        lambda: 0.1,
        plan: [
          [1, 0],
          [0.5, 0.5],
        ],
        cost: [
          [0, 1],
          [1, 0],
        ],
      },
    },
  },
  notes: [],
});

it("pools the seeds of a loss, keeps losses apart, and draws plans", () => {
  const html = renderReport([
    run("a1", "sinkhorn", 1, 0.8),
    run("a2", "sinkhorn", 2, 0.82),
    run("b", { ce: 1, tvd: 0.5 }, 1, 0.7),
  ]);
  const { document } = parseHTML(html);
  const headings = [...document.querySelectorAll("h2")].map((h) => h.textContent);
  expect(headings).toEqual(
    expect.arrayContaining(["Distillation", "Distillation as it went", "Transport plans"]),
  );
  expect(headings).not.toContain("Summary");
  const rows = [...document.querySelectorAll("section")[0]!.querySelectorAll("tbody tr")].map((row) =>
    [...row.querySelectorAll("td")].map((cell) => cell.textContent),
  );
  expect(rows).toHaveLength(2);
  // Student's quantile of one degree of freedom, 12.706, times the standard error .01.
  expect(rows[0]!.slice(0, 4)).toEqual([
    "sinkhorn",
    "a1, a2",
    "sst2 validation (40)",
    "0.8100 ± 0.1271  [0.9000]",
  ]);
  expect(rows[1]![0]).toBe("1·ce + 0.5·tvd");
  expect(rows[1]![3]).toBe("0.7000 in 0.6000 to 0.8000  [0.9000]");
  expect(document.querySelectorAll("figure").length).toBeGreaterThanOrEqual(6);
});

it("reads what has the right shape of a hostile evaluation", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fdiv-kd-report-"));
  const distillation = {
    student: { accuracy: range(0.5) },
    teacher: { accuracy: "<b>" },
    plan: { lambda: 0.1, plan: [["<script>"]], cost: [[1]] },
    heldOut: [],
  };
  await writeFile(join(directory, "evaluation.json"), JSON.stringify({ distillation }));
  const read = await readRun(directory);
  expect(read.evaluation.distillation).toEqual({ student: { accuracy: range(0.5) } });
  expect(parseHTML(renderReport([read])).document.querySelectorAll("script, b")).toHaveLength(0);
});
