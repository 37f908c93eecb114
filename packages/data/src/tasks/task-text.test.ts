import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holdOut, scoreOfText, task, taskText } from "../index.ts";
import { readTask } from "../node/index.ts";
import { folder, official } from "./official-files.testing.ts";

describe("text-to-text", () => {
  it("writes each task's prompt, candidates and answer", async () => {
    const [item] = await readTask(task("rte"), await folder({ "train.tsv": official[8]![2] }), "train");
    expect(taskText(task("rte"), item!, "encoder-decoder")).toEqual({
      prompt: "rte sentence1: A sentence2: B",
      candidates: ["entailment", "not_entailment"],
      completion: "entailment",
    });
    expect(taskText(task("rte"), item!, "decoder-only")).toEqual({
      prompt: "rte sentence1: A sentence2: B answer:",
      candidates: [" entailment", " not_entailment"],
      completion: " entailment",
    });
  });

  it("every official row has a prompt, its answer among the candidates, or a score that reads back", async () => {
    for (const [name, file, text] of official)
      for (const item of await readTask(task(name), await folder({ [file]: text }), "train")) {
        const { prompt, candidates, completion } = taskText(task(name), item, "encoder-decoder");
        expect(prompt.startsWith(`${task(name).promptName ?? name} `)).toBe(true);
        if (candidates) expect(candidates).toContain(completion);
        else expect(scoreOfText(completion!)).toBeCloseTo(item.label!, 1);
      }
    expect(scoreOfText(" 4.2 ")).toBe(4.2);
    expect(scoreOfText("4.2 or so")).toBeNaN();
  });
});

describe("held-out items", () => {
  it("do not depend on the file's order, keep a passage together, and are about the share", () => {
    const items = Array.from({ length: 2000 }, (_, i) => ({
      id: String(i),
      fields: [
        ["question", `q${i}`],
        ["passage", `p${Math.floor(i / 4)}`],
      ] as const,
      source: "",
    }));
    const { train, held } = holdOut(items, 0.1, 3);
    expect(Math.abs(held.length - 200)).toBeLessThan(60);
    const passages = new Set(train.map(({ fields }) => fields[1]![1]));
    expect(held.some(({ fields }) => passages.has(fields[1]![1]))).toBe(false);
    fc.assert(
      fc.property(fc.shuffledSubarray(items, { minLength: 2000 }), (shuffled) => {
        const again = holdOut(shuffled, 0.1, 3).held;
        expect(new Set(again)).toEqual(new Set(held));
      }),
      { numRuns: 5 },
    );
    expect(() => holdOut(items.slice(0, 1), 0.1)).toThrow(/leaves/);
    expect(() => holdOut(items, 1)).toThrow(RangeError);
  });
});
