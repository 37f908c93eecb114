import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rowsOf } from "../command-line.testing.ts";
import { checkConfig } from "../config/config-file.ts";
import type { Session } from "../session.ts";
import { distil } from "./distil.ts";
import type { KdEvaluation } from "./evaluate-student.ts";
import { kdSchema } from "./kd-schema.ts";

export const json = async (path: string) => JSON.parse(await readFile(path, "utf8"));

export interface RunsFolder {
  at(name: string): string;
  /** What the runs told. */
  said: string[];
  run(
    name: string,
    settings: object,
    options?: { resume?: boolean; stopAfter?: number },
  ): Promise<{ distillation: KdEvaluation["distillation"]; rows: Record<string, number>[] }>;
}

/** A folder for distillations inside this process, each by what all have in common and settings of its own. */
export async function runsFolder(common: (at: RunsFolder["at"]) => object): Promise<RunsFolder> {
  const place = await mkdtemp(join(tmpdir(), "fdiv-kd-"));
  const at = (name: string) => join(place, name);
  const said: string[] = [];
  /** A session without a voice; it stops after a step when asked. */
  const session = (stopAfter: number): Session => {
    const controller = new AbortController();
    return {
      backend: { backend: "wasm" } as Session["backend"],
      say: (message) => void said.push(message),
      warn: (message) => void said.push(message),
      progress: () => ({
        onStep: ({ step }) => {
          if (step >= stopAfter) controller.abort();
        },
      }),
      signal: controller.signal,
      close: () => undefined,
    };
  };
  return {
    at,
    said,
    async run(name, settings, { resume = false, stopAfter = Number.POSITIVE_INFINITY } = {}) {
      const config = checkConfig(kdSchema, { ...common(at), output: at(name), ...settings }, name);
      await distil(config, session(stopAfter), { resume });
      const { distillation } = (await json(at(`${name}/evaluation.json`))) as KdEvaluation;
      return { distillation, rows: await rowsOf(at(name)) };
    },
  };
}
