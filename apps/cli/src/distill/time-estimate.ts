import type { Distillation } from "@fdiv/distill";
import { duration } from "@fdiv/trainer/node";
import type { DistillConfig } from "./distill-schema.ts";
import { trainingOf } from "./teacher-schema.ts";

/** Seconds that are timed at least, after which one row of a phase has to do, and after which there is no estimate. */
const [least, enough, most] = [3, 5, 15];

/**
 * The median seconds of a row of each phase. The first of a phase warms up and counts only where there is no time for a second.
 *
 * @returns undefined where the phases don't all come in time
 */
async function phaseSeconds<R>(
  rows: AsyncIterable<R>,
  phaseOf: (row: R) => string,
  phases: readonly string[],
): Promise<Map<string, number> | undefined> {
  const found = new Map<string, number[]>();
  const begun = performance.now();
  let started = begun;
  for await (const row of rows) {
    const [now, phase] = [performance.now(), phaseOf(row)];
    found.set(phase, [...(found.get(phase) ?? []), (now - started) / 1e3]);
    const passed = (now - begun) / 1e3;
    const fewest = Math.min(...phases.map((name) => found.get(name)?.length ?? 0));
    if ((passed > least && fewest > 1) || passed > most || (passed > enough && fewest > 0)) break;
    started = now;
  }
  if (!phases.every((name) => found.has(name))) return undefined;
  const median = (all: number[]): number => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
  return new Map(
    [...found].map(([name, [first, ...later]]) => [name, later.length > 0 ? median(later) : first!]),
  );
}

/** About how long training takes, by a step or two of each kind; undefined where these are too slow to be tried. */
export async function timeEstimate(
  config: DistillConfig,
  training: AsyncIterable<unknown> | undefined,
  distillation: Distillation,
): Promise<string | undefined> {
  const parts: string[] = [];
  if (training) {
    const seconds = await phaseSeconds(training, () => "step", ["step"]);
    parts.push(`${duration(seconds!.get("step")! * trainingOf(config).steps)} for the teacher`);
  }
  const { generatorEvery, criticMeanwhile } = config.schedule;
  const generators = criticMeanwhile === "train" ? "both" : "generator";
  const phases = generatorEvery > 1 ? ["critic", generators] : [generators];
  const seconds = await phaseSeconds(distillation, ({ phase }) => phase, phases);
  if (!seconds) return undefined;
  const cycle = seconds.get(generators)! + (generatorEvery - 1) * (seconds.get("critic") ?? 0);
  parts.push(`${duration((cycle / generatorEvery) * config.steps)} for the distillation`);
  return `about ${parts.join(" and ")}, by a step of each kind on this machine as it is now; measuring comes on top`;
}
