import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Session } from "@fdiv/cli";

/** One run of a sweep: where it is, and how its figures come to be there. */
export interface SweepRun {
  directory: string;
  /** The file inside that is there once the run is finished. */
  result: string;
  /** The file inside that is there once the run has begun; default metrics.jsonl. */
  begun?: string;
  /** Runs of an earlier round come first, so that a sweep that is stopped has as many seeds of each setting; default 0. */
  round?: number;
  /** Makes the run; `resume` when a part of it is there. */
  make(session: Session, resume: boolean): Promise<void>;
}

const minutes = (milliseconds: number): string => {
  const seconds = Math.round(milliseconds / 1e3);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
};

/**
 * Makes the runs that are not finished yet, one after another, telling how many are left and for how long; an interrupted sweep
 * goes on where it stopped.
 *
 * @returns each run's result, in order
 */
export async function sweep<R>(name: string, runs: readonly SweepRun[], session: Session): Promise<R[]> {
  const open = runs
    .filter(({ directory, result }) => !existsSync(join(directory, result)))
    .sort((a, b) => (a.round ?? 0) - (b.round ?? 0));
  if (open.length > 0) process.stderr.write(`${name}: ${open.length} of ${runs.length} runs to make\n`);
  // What each run says of itself would drown what the sweep says.
  const quiet: Session = { ...session, say: () => undefined, progress: () => ({}) };
  const started = performance.now();
  for (const [i, { directory, result, begun = "metrics.jsonl", make }] of open.entries()) {
    // Another sweep over the same runs may have made it meanwhile.
    if (existsSync(join(directory, result))) continue;
    await mkdir(directory, { recursive: true });
    const before = performance.now();
    await make(quiet, existsSync(join(directory, begun)));
    const took = performance.now() - before;
    const left = ((performance.now() - started) / (i + 1)) * (open.length - i - 1);
    process.stderr.write(
      `${name}: ${i + 1}/${open.length}  ${directory}  ${minutes(took)}${left > 0 ? `, ${minutes(left)} left` : ""}\n`,
    );
  }
  return Promise.all(
    runs.map(
      async ({ directory, result }) => JSON.parse(await readFile(join(directory, result), "utf8")) as R,
    ),
  );
}

/** A name as a part of a path. */
export const pathPart = (text: string): string => text.replace(/[^\w.-]+/g, "-");
