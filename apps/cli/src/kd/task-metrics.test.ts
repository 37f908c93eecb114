import { type TaskItem, task } from "@fdiv/data";
import { expect, it } from "vitest";
import { taskIntervals, taskMetrics } from "./task-metrics.ts";

it("counts a question of ReCoRD that no entity answers, by what the chosen one has of the answer", () => {
  const item = (id: string, answer: string): TaskItem => ({
    ...{ id, fields: [], choices: ["Ann Lee", "Bob"], answers: [answer], source: id },
    ...(answer === "Bob" && { label: 1 }),
  });
  const prediction = (first: number) => ({ probabilities: [first, 1 - first] });
  const judged = [
    { item: item("a", "Bob"), prediction: prediction(0.1) },
    { item: item("b", "Lee"), prediction: prediction(0.9) },
    { item: item("c", "Carl"), prediction: prediction(0.9) },
  ];
  const found = taskMetrics(task("record"), judged);
  // 1, then 2·1·½/(1 + ½) of one word in two, then 0.
  expect(found["text-f1"]).toBeCloseTo((1 + 2 / 3) / 3, 9);
  expect(found["text-exact-match"]).toBeCloseTo(1 / 3, 9);
  expect(taskIntervals(task("record"), judged, 1)["text-exact-match"]!.value).toBeCloseTo(1 / 3, 9);
});
