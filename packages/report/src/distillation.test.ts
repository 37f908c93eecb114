import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
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
          [0.25, 0.75],
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

const cellsOf = (table: Element | undefined): string[][] =>
  [...table!.querySelectorAll("tbody tr")].map((row) =>
    [...row.querySelectorAll("td")].map((cell) => cell.textContent),
  );
const headersOf = (table: Element | undefined): string[] =>
  [...table!.querySelectorAll("th")].map((cell) => cell.textContent);
const sectionOf = (html: string, title: string): Element =>
  [...parseHTML(html).document.querySelectorAll("section")].find(
    (one) => one.querySelector("h2")?.textContent === title,
  )!;
const headingsOf = (html: string): string[] =>
  [...parseHTML(html).document.querySelectorAll("h2")].map((h) => h.textContent);

describe("a page of losses and seeds", () => {
  const runs = [
    run("a1", "sinkhorn", 1, 0.8),
    run("a2", "sinkhorn", 2, 0.82),
    run("b1", { ce: 1, tvd: 0.5 }, 1, 0.7),
    run("b2", { ce: 1, tvd: 0.5 }, 2, 0.74),
  ];
  const html = renderReport(runs);

  it("has a row a loss with intervals over seeds, the teacher's row, and names for people", () => {
    const [main] = sectionOf(html, "Distillation").querySelectorAll("table");
    expect(headersOf(main)).toEqual(["loss", "seeds", "accuracy", "same answer as teacher"]);
    // Student's quantile of one degree of freedom, 12.706, times the standard errors .01 and .02.
    expect(cellsOf(main).map((row) => row.slice(0, 3))).toEqual([
      ["sinkhorn", "2", "0.81 ± 0.13"],
      ["1·ce + 0.5·tvd", "2", "0.72 ± 0.25"],
      ["teacher", "–", "0.9 [0.8, 1]"],
    ]);
    expect(headingsOf(html)).not.toEqual(expect.arrayContaining(["Summary"]));
    expect(headingsOf(html)).not.toContain("Over seeds");
    expect(html).not.toContain("β 0.8");
  });

  it("has the difference to one loss seed by seed, whose interval is that of the differences", () => {
    const section = sectionOf(html, "Distillation");
    expect([...section.querySelectorAll("h3")].map((h) => h.textContent)).toContain(
      "Difference to sinkhorn, seed by seed",
    );
    // −.1 and −.08: half of the interval is 12.706 · .01.
    expect(cellsOf(section.querySelectorAll("table")[1])).toEqual([
      ["1·ce + 0.5·tvd", "2", "-0.09 ± 0.13", "0 ± 0"],
    ]);
  });

  it("holds the others against the loss that is asked for, and says which there are", () => {
    const turned = sectionOf(renderReport(runs, { against: "1·ce + 0.5·tvd" }), "Distillation");
    expect(cellsOf(turned.querySelectorAll("table")[1])).toEqual([
      ["sinkhorn", "2", "+0.09 ± 0.13", "0 ± 0"],
    ]);
    expect(() => renderReport(runs, { against: "tvd" })).toThrow(
      'no "tvd" to hold the others against; there are: "sinkhorn", "1·ce + 0.5·tvd"',
    );
  });

  it("lists the runs, draws each curve once, a line a loss, and plans with their scale", () => {
    expect(cellsOf(sectionOf(html, "Runs").querySelector("table")!).map(([name]) => name)).toEqual([
      "a1",
      "a2",
      "b1",
      "b2",
    ]);
    const curves = sectionOf(html, "Distillation as it went");
    const captions = [...curves.querySelectorAll("figcaption")].map((caption) => caption.textContent);
    expect(captions).toEqual(["held out: accuracy", "loss"]);
    expect(curves.querySelectorAll(".legend span")).toHaveLength(2);
    expect(curves.querySelectorAll("figure")[1]!.querySelectorAll("[aria-label=line] path")).toHaveLength(2);
    const plan = sectionOf(html, "Transport plans").querySelector("figure")!;
    expect(plan.querySelector("figcaption")!.textContent).toBe(
      "sinkhorn: plan, λ = 0.1; 88 % on the diagonal (even: 50 %)",
    );
    expect(plan.querySelectorAll("svg")).toHaveLength(2);
  });

  it("has a task's second split beside the first, the teacher's too, and how far plans are off", () => {
    const mnli = run("a1", "sinkhorn", 1, 0.8);
    mnli.evaluation.distillation!.mismatched = {
      student: { accuracy: range(0.6) },
      teacher: { accuracy: range(0.7) },
    };
    mnli.rows = [{ step: 1, loss: 1, "terms/ce": 1, "sinkhorn/row-error": 0.01 }];
    const page = renderReport([mnli]);
    const [main] = sectionOf(page, "Distillation").querySelectorAll("table");
    expect(headersOf(main).slice(0, 3)).toEqual(["loss", "accuracy", "accuracy, mismatched"]);
    expect(cellsOf(main)[1]!.slice(0, 3)).toEqual(["teacher", "0.9 [0.8, 1]", "0.7 [0.6, 0.8]"]);
    expect(sectionOf(page, "Distillation as it went").textContent).toContain("plans of sinkhorn: rows off");
  });

  it("keeps tasks apart, whose figures do not compare", () => {
    const other = runs.map((one, i) => {
      const { distillation } = one.evaluation;
      const task = { name: "rte", split: "validation", items: 40 };
      return { ...one, name: `rte${i}`, evaluation: { distillation: { ...distillation, task } } };
    });
    const page = renderReport([...runs, ...other]);
    expect(headingsOf(page).filter((title) => title.startsWith("Distillation:"))).toEqual([
      "Distillation: sst2",
      "Distillation: rte",
    ]);
    const [main] = sectionOf(page, "Distillation: rte").querySelectorAll("table");
    expect(cellsOf(main).map((row) => row.slice(0, 2))).toEqual([
      ["sinkhorn", "2"],
      ["1·ce + 0.5·tvd", "2"],
      ["teacher", "–"],
    ]);
  });

  it("of one run has the intervals over items, and no seeds to differ by", () => {
    const one = sectionOf(renderReport([run("a1", "sinkhorn", 1, 0.8)]), "Distillation");
    expect(one.querySelectorAll("h3")).toHaveLength(1);
    expect(cellsOf(one.querySelector("table")!)[0]!.slice(0, 2)).toEqual(["sinkhorn", "0.8 [0.7, 0.9]"]);
  });
});

it("reads what has the right shape of a hostile evaluation", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fdiv-kd-report-"));
  const distillation = {
    student: { accuracy: range(0.5) },
    teacher: { accuracy: "<b>" },
    plan: { lambda: 0.1, plan: [["<script>"]], cost: [[1]] },
    heldOut: [],
    mismatched: { student: { accuracy: range(0.4) }, teacher: "<b>" },
  };
  await writeFile(join(directory, "evaluation.json"), JSON.stringify({ distillation }));
  const read = await readRun(directory);
  expect(read.evaluation.distillation).toEqual({
    student: { accuracy: range(0.5) },
    mismatched: { student: { accuracy: range(0.4) } },
  });
  expect(parseHTML(renderReport([read])).document.querySelectorAll("script, b")).toHaveLength(0);
});
