import { describe, expect, it } from "vitest";
import { bareRun } from "./run-data.testing.ts";
import type { RunData } from "./run-data.ts";
import { variantsOf } from "./variants.ts";

const loss = ({ config }: RunData): string => String(config.loss);
const named = (runs: readonly RunData[]) =>
  variantsOf(runs, loss, ["loss"]).map((variant) => [variant.name, variant.runs.length]);

describe("variants of a sweep", () => {
  it("are told apart by the key that was varied, the usual setting by its name alone", () => {
    const sinkhorn = (lambda: number, rest: object = {}) => ({
      loss: "sinkhorn",
      batchSize: 32,
      learningRate: 0.2,
      sinkhorn: { lambda, debiased: false },
      ...rest,
    });
    const configs = [
      { ...sinkhorn(0.1), loss: "ce" },
      sinkhorn(0.1),
      sinkhorn(0.02),
      sinkhorn(0.5, { batchSize: 8, learningRate: 0.1 }),
      { ...sinkhorn(0.1), sinkhorn: { lambda: 0.1, debiased: true } },
    ];
    const runs = configs.flatMap((config, i) =>
      [1, 2].map((seed) => bareRun(`r${i}-${seed}`, { ...config, seed, output: `o/${i}/${seed}` })),
    );
    expect(named(runs)).toEqual([
      ["ce", 2],
      ["sinkhorn", 2],
      ["sinkhorn, lambda 0.02", 2],
      ["sinkhorn, batchSize 8, learningRate 0.1, lambda 0.5", 2],
      ["sinkhorn, debiased", 2],
    ]);
  });

  it("hold seeds together whose teachers lie in a folder of each seed, and whose data moved", () => {
    const at = (seed: number, teacher: string, data: string) =>
      bareRun(`${teacher}-${seed}`, {
        loss: "ce",
        seed,
        teacher: { model: `runs/${teacher}-seed${seed}/teacher/model` },
        data: { images: `${data}/set/images` },
        task: { cache: { folder: `cache/${seed}` } },
      });
    expect(named([at(1, "t", "a"), at(2, "t", "b")])).toEqual([["ce", 2]]);
    // Two runs of seed 1 are two settings: their paths count whole, but for the seed.
    expect(named([at(1, "t", "a"), at(2, "t", "a"), at(1, "u", "a"), at(2, "u", "a")])).toEqual([
      ["ce, model runs/t-seed*/teacher/model", 2],
      ["ce, model runs/u-seed*/teacher/model", 2],
    ]);
    expect(named([at(1, "t", "a"), at(11, "t", "a")])).toEqual([["ce", 2]]);
  });

  it("are told by one key of those that always vary together", () => {
    const normalised = {
      loss: "js",
      weight: 1,
      ratio: { source: "net", normaliser: { bins: 10, decay: 0.9 } },
    };
    const configs = [
      normalised,
      { loss: "js", weight: 1, ratio: { source: "net", normaliser: false } },
      { loss: "js", ratio: { source: "none" } },
      { ...normalised, loss: "tvd" },
    ];
    expect(named(configs.map((config, i) => bareRun(`r${i}`, { ...config, seed: i })))).toEqual([
      ["js", 1],
      ["js, normaliser off", 1],
      ["js, source none", 1],
      ["tvd", 1],
    ]);
  });

  it("say what was not set where nothing else is left, as of a run by an older version", () => {
    const configs = [{ loss: "ce" }, { loss: "ce", dropout: 0 }, { loss: "js", dropout: 0 }];
    expect(named(configs.map((config, i) => bareRun(`r${i}`, { ...config, seed: i })))).toEqual([
      ["ce, dropout unset", 1],
      ["ce", 1],
      ["js", 1],
    ]);
  });

  it("are numbered where no key is left to tell them apart", () => {
    expect(named([bareRun("a", {}), bareRun("b", {})])).toEqual([
      ["undefined", 1],
      ["undefined (2)", 1],
    ]);
  });
});
