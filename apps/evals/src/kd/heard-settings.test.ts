import { expect, it } from "vitest";
import { heardSettings } from "./heard-settings.ts";

const common = ["task.name=rte", "task.folder=t", "teacher.model=a", "student.layers=1"];
const variants = ["ce", "js", "sinkhorn"].map((loss) => ({ name: loss, settings: [`loss=${loss}`] }));

it("leaves a setting out where a loss has no use for it and another has", async () => {
  const own = ["alpha=0.5", "sinkhorn.cost=cosine", "sinkhorn.lambda=0.3"];
  expect(await heardSettings([...common, ...own], variants)).toEqual([
    [...common, "sinkhorn.lambda=0.3"],
    [...common, "alpha=0.5", "sinkhorn.lambda=0.3"],
    [...common, ...own],
  ]);
});

it("keeps one that no loss has a use for, so that it is refused", async () => {
  const found = await heardSettings([...common, "beta=0.5"], variants.slice(0, 2));
  expect(found).toEqual([
    [...common, "beta=0.5"],
    [...common, "beta=0.5"],
  ]);
});
