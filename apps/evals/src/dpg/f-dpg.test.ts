import { meanInterval } from "@fdiv/metrics";
import { describe, expect, it } from "vitest";
import { divergenceFindings, efficiencyFindings } from "../dpo/findings.ts";
import type { MethodRow } from "../dpo/method.ts";
import { methodsPage, methodsTable, rewardsAt } from "../dpo/methods-report.ts";
import { overSeeds } from "../figures.ts";
import { verdict } from "../findings.ts";
import { order, targetFindings } from "./findings.ts";
import { jsonPrompts, jsonTexts } from "./json-texts.ts";
import type { TargetsRow } from "./targets.ts";
import { targetsPage, targetsTable } from "./targets-report.ts";

describe("texts of JSON", () => {
  const isJson = (text: string): boolean => {
    try {
      JSON.parse(text.slice(text.indexOf("=>") + 2));
      return true;
    } catch {
      return false;
    }
  };
  it("are right where nothing breaks, and broken now and then where it does", () => {
    const whole = jsonTexts({ count: 500, breaks: 0 });
    expect(whole.texts.every(isJson)).toBe(true);
    const known = new Set(whole.vocabulary);
    expect(
      [...whole.texts, ...jsonPrompts].every((text) => text.split(" ").every((word) => known.has(word))),
    ).toBe(true);
    const share = jsonTexts({ count: 2000 }).texts.filter(isJson).length / 2000;
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(0.8);
  });
  it("are the same for the same seed", () => {
    expect(jsonTexts({ count: 20, seed: 4 })).toEqual(jsonTexts({ count: 20, seed: 4 }));
    expect(jsonTexts({ count: 20, seed: 4 })).not.toEqual(jsonTexts({ count: 20, seed: 5 }));
  });
});

function row(divergence: string, bySeed: Record<string, number | null>[]): TargetsRow {
  return {
    base: "64x2",
    divergence,
    baseline: "leave-one-out",
    figures: overSeeds(bySeed),
    bySeed,
    curves: { entropy: [3, 2] },
  };
}
const seeds = (js: number, entropy: number, word: number) =>
  [0, 0.01, -0.01].map((noise) => ({
    forwardKl: 2 * js + noise,
    reverseKl: null,
    jensenShannon: js + noise,
    totalVariation: js,
    entropy: entropy + noise,
    "E word": word,
  }));
const rows = [
  row("(base)", seeds(0.6, 30, 0.02)),
  row("forward-kl", seeds(0.3, 28, 0.5)),
  row("reverse-kl", seeds(0.2, 25, 0.9)),
  row("jensen-shannon", seeds(0.1, 28, 0.8)),
];

describe("what f-DPG's runs say of the paper's findings", () => {
  it("is read from differences seed by seed", () => {
    const found = targetFindings(rows, "64x2", "word");
    expect(found.map(verdict)).toEqual([
      "reproduces",
      "reproduces",
      "reproduces",
      "reproduces",
      "reproduces",
    ]);
    expect(found[0]!.difference).toMatchObject({ low: expect.closeTo(0.4), value: expect.closeTo(0.4) });
    expect(order(rows, "64x2")).toEqual(["jensen-shannon", "reverse-kl", "forward-kl"]);
  });
  it("may be the reverse, undecided, or not measured", () => {
    expect(verdict({ claim: "", difference: meanInterval([-1, -1.1, -0.9]) })).toBe("the reverse");
    expect(verdict({ claim: "", difference: meanInterval([-1, 1, 0.5]) })).toBe("undecided");
    expect(targetFindings(rows, "another", "word").map(verdict)).toEqual(new Array(5).fill("not measured"));
  });
  it("is shown as a table and a page; what is infinite is left out", () => {
    const table = targetsTable(rows);
    expect(table.split("\n")).toHaveLength(6);
    expect(table).toContain("0.100 ± 0.025");
    expect(table).not.toContain("KL(π‖p)");
    const page = targetsPage("a task", "<notes>", rows);
    expect(page).toContain("&lt;notes&gt;");
    expect(page.match(/<svg/g)!.length).toBeGreaterThan(5);
  });
});

describe("f-DPO against PPO", () => {
  const judged = (reward: number, kl: number, accuracy: number, entropy: number) =>
    [0, 0.02, -0.02].map((noise) => ({
      reward: reward + noise,
      "KL(π‖ref)": kl,
      accuracy: accuracy + noise / 10,
      entropy,
    }));
  const made = (
    method: MethodRow["method"],
    divergence: string,
    beta: number,
    bySeed: MethodRow["bySeed"],
  ): MethodRow => ({
    method,
    divergence,
    ...(method === "PPO" && { place: "reward" as const }),
    beta,
    figures: overSeeds(bySeed),
    bySeed,
  });
  const methods = [
    made("f-DPO", "reverse-kl", 1, judged(1, 0.5, 0.8, 2)),
    made("f-DPO", "reverse-kl", 0.1, judged(2, 1.5, 0.8, 2)),
    made("f-DPO", "jensen-shannon", 0.1, judged(1.8, 1.2, 0.7, 3)),
    made("PPO", "reverse-kl", 1, judged(1, 2, 0.6, 2)),
  ];
  const reference = overSeeds(judged(0, 0, 0.5, 4));
  it("is compared at the same KL, straight between the points of a seed", () => {
    expect(rewardsAt(methods, reference, "f-DPO reverse-kl", 0.25)).toEqual([
      expect.closeTo(0.5),
      expect.closeTo(0.51),
      expect.closeTo(0.49),
    ]);
    expect(rewardsAt(methods, reference, "f-DPO reverse-kl", 1)[0]).toBeCloseTo(1.5, 9);
    expect(rewardsAt(methods, reference, "f-DPO reverse-kl", 2)).toEqual([undefined, undefined, undefined]);
    const [found] = efficiencyFindings(methods, (name, kl) => rewardsAt(methods, reference, name, kl), 1);
    expect(found!.claim).toContain("PPO reverse-kl in the reward");
    expect(found!.difference!.value).toBeCloseTo(1, 9);
    expect(verdict(found!)).toBe("reproduces");
  });
  it("and by accuracy and entropy along the divergences", () => {
    const verdicts = divergenceFindings(methods, 0.1).map(verdict);
    expect(verdicts).toEqual(["reproduces", "reproduces"]);
  });
  it("is shown as tables and a page", () => {
    expect(methodsTable(methods, reference)).toContain(
      "| PPO reverse-kl in the reward | 1 | 1.000 ± 0.050 |",
    );
    expect(methodsPage("notes", methods, reference).match(/<svg/g)!.length).toBeGreaterThan(1);
  });
});
