import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { type RunData, renderReport, thin } from "./index.ts";
import { readRun } from "./node/index.ts";

const run = (name: string, divergence: string, shift: number): RunData => ({
  name,
  config: { divergence, beta: 0.1, seed: 1 },
  rows: Array.from({ length: 50 }, (_, i) => ({
    step: i + 1,
    loss: 0.7 - 0.01 * i + shift,
    gradientNorm: 1,
  })),
  evaluations: [
    { step: 0, loss: 0.69, "logps/chosen": -10 },
    { step: 50, loss: 0.5, "logps/chosen": -11 },
  ],
  samples: [{ prompt: "once upon", completion: " a time", reward: 2 }],
  evaluation: {
    reward: { value: 1 + shift, low: 0.8, high: 1.4 },
    klToReference: { value: 2, standardError: 0.1 },
    entropy: { value: 3, low: 2.9, high: 3.1 },
    distinct: { "2": 0.5 },
    calibration: {
      bradleyTerry: { ece: 0.1, bins: [{ from: 0.5, to: 0.6, count: 4, confidence: 0.55, accuracy: 0.5 }] },
    },
  },
  notes: [],
});

describe("a report", () => {
  it("has every section, its curves drawn, and nothing from elsewhere", () => {
    const html = renderReport([run("a", "reverse-kl", 0), run("b", "forward-kl", 0.1)], { title: "two" });
    const { document } = parseHTML(html);
    expect([...document.querySelectorAll("h2")].map((h) => h.textContent)).toEqual([
      "Summary",
      "Frontiers",
      "Training",
      "Log-probability trends",
      "Calibration",
      "Samples",
      "What differs between the runs",
    ]);
    expect(document.querySelectorAll("figure svg").length).toBeGreaterThan(6);
    expect(html).not.toMatch(/<script|<link|src=|url\(http/);
    expect(renderReport([run("a", "x", 0)])).toBe(renderReport([run("a", "x", 0)]));
  });

  it("names a few runs, counts many, and gives a curve that never moves a scale", () => {
    const many = Array.from({ length: 9 }, (_, i) => run(`r${i}`, "reverse-kl", i / 10));
    const subtitle = (runs: RunData[]) => renderReport(runs).match(/\d+ runs?[^<]*/)![0];
    expect(subtitle(many.slice(0, 1))).toBe("1 run: r0");
    expect(subtitle(many.slice(0, 2))).toBe("2 runs: r0, r1");
    expect(subtitle(many)).toBe("9 runs");
    const { document } = parseHTML(renderReport(many));
    const figure = [...document.querySelectorAll("figure")].find((one) =>
      one.textContent.includes("gradient norm"),
    )!;
    const ticks = [...figure.querySelectorAll("[aria-label='y-axis tick label'] text")];
    expect(ticks.map((tick) => Number(tick.textContent))).toEqual([0.6, 0.8, 1, 1.2, 1.4]);
  });

  it("tells PPO from f-DPO, and shows what samplers log: moments, and what rejection gains", () => {
    const ppo: RunData = {
      ...run("raised", "reverse-kl", 1),
      config: { divergence: "reverse-kl", penalty: { place: "loss", coefficient: 0.05 } },
    };
    const sampler: RunData = {
      ...run("target", "jensen-shannon", 0),
      rows: [1, 2, 3].map((step) => ({
        step,
        "moments/female": 0.1 * step,
        "moments/female/se": 0.01,
        "log-z": -1,
      })),
      evaluation: {
        acceptance: [
          { beta: 1, acceptanceRate: 0.9, forwardKl: 0.4, totalVariation: 0.2 },
          { beta: 10, acceptanceRate: 0.1, forwardKl: 0.01, totalVariation: 0.02 },
        ],
      },
    };
    const { document } = parseHTML(renderReport([run("pairs", "reverse-kl", 0), ppo, sampler]));
    const cells = [...document.querySelectorAll("table")][0]!.textContent;
    expect(cells).toContain("PPO reverse-kl in the loss");
    expect(cells).toContain("0.05");
    const captions = [...document.querySelectorAll("figcaption")].map((caption) => caption.textContent);
    expect(captions).toContain("mean of female");
    expect(captions).not.toContain("mean of female/se");
    expect(captions).toContain("log Z");
    expect(captions).toContain("KL(p‖p_β)");
    expect([...document.querySelectorAll("h2")].map((h) => h.textContent)).toContain(
      "Quasi-rejection sampling",
    );
  });

  it("makes one point with intervals of the seeds of a divergence and β, and pools their calibration", () => {
    const sweep = ["reverse-kl", "forward-kl"].flatMap((divergence) =>
      [0.1, 0.3].flatMap((beta) =>
        [1, 2, 3].map((seed) => {
          const one = run(`${divergence}-${beta}-${seed}`, divergence, seed / 100 + beta);
          return { ...one, config: { divergence, beta, seed } };
        }),
      ),
    );
    const { document } = parseHTML(renderReport(sweep));
    const section = (title: string) =>
      [...document.querySelectorAll("section")].find(
        (one) => one.querySelector("h2")?.textContent === title,
      )!;
    expect(section("Over seeds").querySelectorAll("tbody tr")).toHaveLength(4);
    // Student's interval of 1.11, 1.12, 1.13: 4.303 · .01/√3 to each side.
    expect(section("Over seeds").querySelector("tbody tr")!.textContent).toContain("1.12 ± 0.025");
    const frontier = section("Frontiers").querySelector("figure")!;
    expect(frontier.querySelectorAll("circle")).toHaveLength(4);
    expect(section("Calibration").querySelectorAll("figure")).toHaveLength(4);
    expect(section("Samples").querySelectorAll("thead th")).toHaveLength(1 + 4);
    expect(section("Training").querySelectorAll(".legend span")).toHaveLength(2);
    // Another model is another setting: nothing is pooled over it.
    const mixed = sweep.map((one, i) => ({ ...one, config: { ...one.config, model: i === 0 ? "a" : "b" } }));
    const { document: apart } = parseHTML(renderReport(mixed));
    expect(
      apart.querySelectorAll("section")[2]!.querySelector("figure")!.querySelectorAll("circle"),
    ).toHaveLength(6);
  });

  it("shows the last texts of a run beside those before training", () => {
    const one = run("a", "reverse-kl", 0);
    one.samples = [
      { step: 0, prompt: "once", completion: "first" },
      { step: 10, prompt: "once", completion: "middle" },
      { step: 20, prompt: "once", completion: "last" },
    ];
    const cells = (html: string) =>
      [...parseHTML(html).document.querySelectorAll("table.text tbody td")].map((cell) => cell.textContent);
    expect(cells(renderReport([one]))).toEqual(["once", "first", "last"]);
    one.samples.push({ prompt: "once", completion: "evaluated", reward: 2 });
    expect(cells(renderReport([one]))).toEqual(["once", "first", "evaluated  (2)"]);
  });

  it("lets no text of a run become markup", () => {
    const evil = `"><script>alert(1)</script><img onerror=x>`;
    const hostile = run(evil, evil, 0);
    hostile.samples = [{ prompt: evil, completion: evil }];
    hostile.dataReport = evil;
    hostile.notes = [evil];
    const { document } = parseHTML(renderReport([hostile], { title: evil }));
    expect(document.querySelectorAll("script, img")).toHaveLength(0);
  });

  it("survives missing parts, NaN, infinities and a single point", () => {
    const empty: RunData = {
      name: "empty",
      config: {},
      rows: [],
      evaluations: [],
      samples: [],
      evaluation: {},
      notes: ["x is missing"],
    };
    expect(renderReport([empty])).toContain("x is missing");
    const odd = {
      ...empty,
      rows: [
        { step: 1, loss: Number.NaN },
        { step: 2, loss: Number.POSITIVE_INFINITY },
        { step: 3, loss: 1 },
      ],
    };
    expect(parseHTML(renderReport([odd])).document.querySelectorAll("figure")).toHaveLength(1);
  });

  it("keeps spikes when it thins a long curve", () => {
    const points = Array.from({ length: 100_000 }, (_, i) => ({
      series: "a",
      x: i,
      y: i === 77_777 ? 9 : Math.sin(i),
    }));
    const thinned = thin(points);
    expect(thinned.length).toBeLessThanOrEqual(600);
    expect(thinned.some(({ y }) => y === 9)).toBe(true);
  });
});

describe("a run directory", () => {
  it("is read tolerantly, with what was wrong noted", async () => {
    const directory = await mkdtemp(join(tmpdir(), "fdiv-run-"));
    await writeFile(
      join(directory, "metrics.jsonl"),
      '{"step":1,"loss":2}\n{"step":1,"eval/loss":3}\n{"step":2,"lo',
    );
    await writeFile(join(directory, "evaluation.json"), "[]");
    const read = await readRun(directory);
    expect(read.rows).toEqual([{ step: 1, loss: 2 }]);
    expect(read.evaluations).toEqual([{ step: 1, loss: 3 }]);
    expect(read.notes.join()).toMatch(
      /config\.json is missing.*1 malformed lines.*evaluation\.json is malformed/,
    );
    const hostile = {
      reward: "much",
      klToReference: { value: 1, standardError: null },
      distinct: { "2": "x" },
      calibration: { bradleyTerry: { ece: 0.1, bins: "abc" } },
      accuracy: { before: { value: 0.5, low: 0.4, high: 0.6 }, after: 7 },
    };
    await writeFile(join(directory, "evaluation.json"), JSON.stringify(hostile));
    const checked = await readRun(directory);
    expect(checked.evaluation).toEqual({
      klToReference: { value: 1, standardError: Number.NaN },
      accuracy: { before: { value: 0.5, low: 0.4, high: 0.6 } },
    });
    expect(checked.notes.filter((note) => note.startsWith("evaluation.json"))).toHaveLength(3);
    expect(renderReport([checked])).toContain("malformed");
    await expect(readRun(join(directory, "absent"))).rejects.toThrow(/holds no run/);
  });
});
