import { kdSchema, readConfig } from "@fdiv/cli";
import { expect, it } from "vitest";
import { experiments } from "./experiments.ts";
import { variantsOf } from "./kd-recipe.ts";

it.each(Object.entries(experiments))(
  "%s: every loss and variation is a configuration of fdiv kd",
  async (_, experiment) => {
    const variants = variantsOf(experiment);
    for (const { settings } of variants) {
      const config = await readConfig(kdSchema, undefined, [
        ...experiment.settings,
        "task.folder=.",
        "teacher.model=.",
        "output=.",
        ...settings,
      ]);
      expect(config.task?.name).toMatch(/^(sst2|mrpc|rte)$/);
    }
    expect(new Set(variants.map(({ name }) => name)).size).toBe(variants.length);
  },
);

it("varies one key at a time, of the last loss", () => {
  const varied = variantsOf(experiments.ablations!).slice(2);
  expect(varied.map(({ name }) => name)).toContain("beta=3");
  expect(varied.every(({ settings }) => settings.length === 2 && settings[0] === "loss=sinkhorn")).toBe(true);
});
