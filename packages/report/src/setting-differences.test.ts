import { parseHTML } from "linkedom";
import { expect, it } from "vitest";
import { type RunData, renderReport } from "./index.ts";
import { bareRun } from "./run-data.testing.ts";

const rowsOf = (runs: readonly RunData[]): string[][] | undefined => {
  const section = [...parseHTML(renderReport(runs)).document.querySelectorAll("section")].find((one) =>
    one.querySelector("h2")!.textContent.startsWith("What differs"),
  );
  return (
    section &&
    [...section.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent))
  );
};

it("has the keys that differ by a column a setting, with many settings a row each, seeds and places aside", () => {
  const of = (lambda: number, seed: number) =>
    bareRun(`l${lambda}-${seed}`, {
      loss: "ce",
      sinkhorn: { lambda },
      seed,
      output: `runs/${lambda}/${seed}`,
    });
  expect(rowsOf([of(1, 1), of(1, 2), of(2, 1)])).toEqual([
    ["key", "l1-1 and 1 more", "l2-1"],
    ["sinkhorn.lambda", "1", "2"],
  ]);
  expect(rowsOf([1, 2, 3, 4, 5, 6, 7].map((lambda) => of(lambda, 1)))!.slice(0, 2)).toEqual([
    ["run", "sinkhorn.lambda"],
    ["l1-1", "1"],
  ]);
  expect(rowsOf([of(1, 1), of(1, 2)])).toBeUndefined();
});
