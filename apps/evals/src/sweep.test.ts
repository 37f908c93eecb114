import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Session } from "@fdiv/cli";
import { expect, it } from "vitest";
import { type SweepRun, sweep } from "./sweep.ts";

it("makes what is missing once, and not what another sweep has finished since it began", async () => {
  const place = await mkdtemp(join(tmpdir(), "fdiv-sweep-"));
  const made: string[] = [];
  const run = (name: string, besides?: string): SweepRun => ({
    directory: join(place, name),
    result: "result.json",
    async make() {
      made.push(name);
      await writeFile(join(place, name, "result.json"), JSON.stringify(name));
      if (besides) await writeFile(join(place, besides, "result.json"), JSON.stringify("another's"));
    },
  });
  const session = {} as Session;
  await sweep("first", [run("c")], session);
  const results = await sweep("second", [run("a", "c"), run("b"), run("c")], session);
  expect(made).toEqual(["c", "a", "b"]);
  expect(results).toEqual(["a", "b", "another's"]);
  // A run that is open when the sweep begins, and finished when its turn comes.
  const late = { ...run("d"), directory: join(place, "d") };
  const first: SweepRun = {
    ...run("e"),
    async make() {
      await sweep("beside", [late], session);
      await writeFile(join(place, "e", "result.json"), "1");
    },
  };
  await sweep("third", [first, late], session);
  expect(made.filter((name) => name === "d")).toHaveLength(1);
});
