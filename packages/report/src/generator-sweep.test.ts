import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { imageGrid, type RunData, renderReport } from "./index.ts";

const figures = (frechet: number) => ({
  "Fréchet (classifier)": frechet,
  "Fréchet floor of halves (classifier)": 0.8,
  "recall (classifier)": 0.5,
  "class KL": frechet / 10,
});
const grid = (level: number) => imageGrid([level], { count: 1, height: 1, width: 1, channels: 1 });

/** A run of a sweep, as it learns from the teacher of its seed. */
const student = (divergence: string, seed: number, frechet: number): RunData => ({
  name: `${divergence}-${seed}`,
  config: {
    divergence,
    seed,
    matchingWeight: 1,
    steps: 1600,
    teacher: { model: `runs/teacher-seed${seed}/teacher/model` },
  },
  rows: [1, 2, 3].flatMap((step): Record<string, number>[] => [
    { step, fakeLoss: 1 / step, fakeGradientNorm: 2, loss: 1 / step, gradientNorm: 2, skipped: 0 },
    { step, generatorGradientNorm: 7, clampedRatios: 0, loss: 1 / step, gradientNorm: 7, seconds: 30 },
  ]),
  evaluations: [],
  samples: [],
  evaluation: {
    generator: {
      rows: [
        { name: "student, 1 step", samples: 500, figures: figures(frechet) },
        { name: "real", samples: 500, figures: figures(0.4 + seed / 10) },
      ],
      classifierAccuracy: 0.96,
      fakeSigma: 2,
    },
  },
  pictures: ["fake-denoiser", "real", "student"].map((name, i) => ({ name, png: grid(i / 4) })),
  previews: [{ name: "step-000100", png: grid(0.9) }],
  notes: [],
});
/** The run that trained a teacher, whose own student is of no interest. */
const teacher = (seed: number): RunData => {
  const own = student("reverse-kl", seed, 60);
  const [first, real] = own.evaluation.generator!.rows;
  return {
    ...own,
    name: `teacher-${seed}`,
    config: {
      divergence: "reverse-kl",
      seed,
      matchingWeight: 1,
      steps: 3,
      output: `runs/teacher-seed${seed}`,
    },
    evaluation: {
      generator: {
        rows: [first!, { ...first!, name: "teacher, 35 Heun steps", figures: figures(2 + seed / 10) }, real!],
      },
    },
    pictures: [...own.pictures!, { name: "teacher-35", png: grid(1) }],
  };
};

const documentOf = (runs: readonly RunData[]) => parseHTML(renderReport(runs)).document;
const captionsOf = (document: ReturnType<typeof documentOf>) =>
  [...document.querySelectorAll("figcaption")].map((caption) => caption.textContent);
const rowsOf = (table: Element): string[][] =>
  [...table.querySelectorAll("tr")].map((row) =>
    [...row.querySelectorAll("th, td")].map((cell) => cell.textContent),
  );

describe("a page of one generator", () => {
  const document = documentOf([student("jensen-shannon", 1, 3)]);

  it("has a row a source without the floor, which is told once with its count", () => {
    expect(rowsOf(document.querySelector("table")!)).toEqual([
      ["samples of", "Fréchet", "recall", "class KL"],
      ["student, 1 step", "3", "0.5", "0.3"],
      ["real", "0.5", "0.5", "0.05"],
    ]);
    const told = document.querySelector("section")!.textContent;
    expect(told).toContain("two halves of the real examples, 250 each, are 0.8 (classifier) apart");
    expect(told).toContain("96 % of the examples right");
    expect(told).toContain("add it to this page: runs/teacher-seed1.");
  });

  it("orders pictures from the student to the real, and shows those of the way", () => {
    expect(captionsOf(document).slice(0, 4)).toEqual([
      "student, 1 step",
      "what the fake denoiser makes of the student's samples at σ = 2",
      "real",
      "step 100",
    ]);
  });

  it("draws each net's loss and gradient apart, and no fault that did not happen", () => {
    const captions = captionsOf(document);
    expect(captions).toContain("fake denoiser's loss");
    expect(captions).toContain("gradient norm: generator");
    expect(captions).not.toContain("loss");
    expect(captions).not.toContain("ratios that were clamped");
    const [names, values] = rowsOf([...document.querySelectorAll("table")].at(-1)!);
    expect(Object.fromEntries(names!.map((name, i) => [name, values![i]]))).toMatchObject({
      "clamped ratios": "0",
      "skipped steps": "0",
      "time of steps": "1.5 min",
    });
  });

  it("counts the log of its teacher's training as no run, and draws it by itself", () => {
    const log = { ...student("x", 1, 1), name: "teacher", evaluation: {}, rows: [{ step: 1, loss: 0.5 }] };
    const page = documentOf([student("jensen-shannon", 1, 3), log]);
    expect(page.querySelector(".notes")!.textContent).toBe("1 run: jensen-shannon-1");
    expect([...page.querySelectorAll("h2")].map((h) => h.textContent)).toContain("The teacher's training");
    expect(captionsOf(page)).toContain("denoiser's loss");
  });
});

describe("a page of divergences and seeds", () => {
  const students = [1, 2, 3].flatMap((seed) => [
    student("jensen-shannon", seed, 3 + seed / 100),
    student("reverse-kl", seed, 2 + seed / 100),
  ]);
  const document = documentOf([...students, ...[1, 2, 3].map(teacher)]);
  const [main, differences] = [...document.querySelectorAll("table")].map(rowsOf);

  it("has a row a divergence over seeds, the teachers' and the real rows once", () => {
    // Student's interval of .01, .02, .03: 4.303 · .01/√3 to each side.
    expect(main!.map((row) => row.slice(0, 3))).toEqual([
      ["student under", "seeds", "Fréchet"],
      ["jensen-shannon", "3", "3.020 ± 0.025"],
      ["reverse-kl", "3", "2.020 ± 0.025"],
      ["teacher, 35 Heun steps", "3", "2.20 ± 0.25"],
      ["real", "3", "0.60 ± 0.25"],
    ]);
  });

  it("has the difference to reverse KL seed by seed", () => {
    expect(differences!.map((row) => row.slice(0, 3))).toEqual([
      ["student under", "seeds", "Fréchet"],
      ["jensen-shannon", "3", "+1 ± 0"],
    ]);
  });

  it("shows the first run of each, the teacher's pictures among them, the real ones once", () => {
    const captions = captionsOf(document);
    const from = captions.indexOf("jensen-shannon: student, 1 step");
    expect(captions.slice(from, from + 6)).toEqual([
      "jensen-shannon: student, 1 step",
      "reverse-kl: student, 1 step",
      "teacher, 35 Heun steps",
      "jensen-shannon: what the fake denoiser makes of the student's samples at σ = 2",
      "reverse-kl: what the fake denoiser makes of the student's samples at σ = 2",
      "real",
    ]);
  });

  it("keeps the student of a run that trained the teacher of others and learnt as long as they", () => {
    const trainer = (seed: number): RunData => ({
      ...teacher(seed),
      config: { ...teacher(seed).config, divergence: "jeffreys", steps: 1600 },
    });
    const names = rowsOf(documentOf([...students, ...[1, 2, 3].map(trainer)]).querySelector("table")!).map(
      ([name]) => name,
    );
    expect(names.slice(1)).toEqual([
      "jensen-shannon",
      "reverse-kl",
      "jeffreys",
      "teacher, 35 Heun steps",
      "real",
    ]);
  });

  it("says which variants a teacher's row is for where they have different ones", () => {
    const other = students.map((run, i) => ({
      ...run,
      evaluation: {
        generator: {
          rows: [
            run.evaluation.generator!.rows[0]!,
            { name: "teacher, 18 Heun steps", samples: 500, figures: figures(i % 2) },
          ],
        },
      },
    }));
    const names = rowsOf(documentOf(other).querySelector("table")!).map(([name]) => name);
    expect(names.slice(3)).toEqual([
      "teacher, 18 Heun steps (for jensen-shannon)",
      "teacher, 18 Heun steps (for reverse-kl)",
    ]);
  });
});
