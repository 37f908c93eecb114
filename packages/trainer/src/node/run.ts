import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Optimizer } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import { NonFiniteError } from "../non-finite.ts";
import type { RunStore } from "../train.ts";
import { changedSettings } from "./changed-settings.ts";
import {
  CheckpointError,
  pruneCheckpoints,
  readCheckpoint,
  readLastCheckpoint,
  recoverCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
import { writeDurably } from "./durable-file.ts";
import { type MetricsFile, openMetricsFile } from "./metrics-file.ts";
import { lockRun } from "./run-lock.ts";
import { type EventFile, openEventFile } from "./tensorboard.ts";

export interface RunOptions {
  directory: string;
  parameters: ReadonlyMap<string, tf.Variable>;
  optimizer: Optimizer;
  /** The resolved configuration, written to config.json. */
  config: unknown;
  /** Texts that describe the run, by file name, written with the configuration and, as that, only by a run that may go on. */
  texts?: Readonly<Record<string, string>>;
  /** Identifies configuration and data: a run resumes only with the same. */
  fingerprint: string;
  /** Keys of the configuration that the fingerprint leaves out. Default: output. */
  free?: readonly string[];
  /** Whether to go on with what the directory holds; a run is never overwritten. */
  resume?: boolean;
  /** Checkpoints kept beside the best. Default 2. */
  keep?: number;
  /** Hears of damaged checkpoints. */
  tell?: (message: string) => void;
}

export interface Run extends RunStore {
  directory: string;
  close(): Promise<void>;
}

/** The directory holds a run already. */
export class RunExistsError extends Error {
  override name = "RunExistsError";
}

/** What was changed of the configuration since the run was made, for the refusal of its checkpoints. */
async function changesOf({ directory, config, free = ["output"] }: RunOptions): Promise<string> {
  const text = await readFile(join(directory, "config.json"), "utf8").catch(() => undefined);
  if (text === undefined) return "";
  let before: unknown;
  try {
    before = JSON.parse(text);
  } catch {
    return "";
  }
  const changes = changedSettings(before, config).filter(
    (change) => !free.includes(/^[^. ]*/.exec(change)![0]),
  );
  return changes.length > 0 ? ` Changed: ${changes.join("; ")}.` : " No key of config.json has changed.";
}

/**
 * Opens a run directory: config.json, metrics.jsonl, TensorBoard events, checkpoints/ (each complete or absent), and a lock.
 *
 * @throws RunExistsError when it holds a run and `resume` is not asked, RunLockedError when another process writes it
 */
export async function openRun(options: RunOptions): Promise<Run> {
  const { directory, parameters, optimizer, fingerprint, keep = 2, tell = () => undefined } = options;
  const metricsPath = join(directory, "metrics.jsonl");
  const checkpoints = join(directory, "checkpoints");
  const best = join(directory, "best");
  if (existsSync(metricsPath) && !options.resume)
    throw new RunExistsError(
      `${directory} already holds a run. Add --resume to continue it, or choose another output.`,
    );
  await mkdir(checkpoints, { recursive: true });
  const unlock = await lockRun(directory);
  const target = { parameters, optimizer, fingerprint };
  let metrics: MetricsFile | undefined;
  let events: EventFile | undefined;
  let failed = false;
  const opened = async (): Promise<{ metrics: MetricsFile; events: EventFile }> => {
    metrics ??= await openMetricsFile(metricsPath);
    events ??= await openEventFile(directory);
    return { metrics, events };
  };
  const writeConfig = async () => {
    await writeDurably(join(directory, "config.json"), `${JSON.stringify(options.config, null, 2)}\n`);
    for (const [name, text] of Object.entries(options.texts ?? {}))
      await writeDurably(join(directory, name), text);
  };
  try {
    await recoverCheckpoint(directory, "best");
    // A run that is continued keeps its configuration until the checkpoint is known to be of the same.
    if (!options.resume) await writeConfig();
  } catch (error) {
    await unlock();
    throw error;
  }
  return {
    directory,
    async resume() {
      const state = await readLastCheckpoint(checkpoints, target, tell).catch(async (error: unknown) => {
        if (!(error instanceof CheckpointError) || error.kind !== "foreign") throw error;
        throw new CheckpointError(`${error.message}${await changesOf(options)}`, "foreign");
      });
      await writeConfig();
      metrics = await openMetricsFile(metricsPath);
      await metrics.cutAfter(state?.step ?? -1);
      events = await openEventFile(directory, state?.step ?? -1);
      return state;
    },
    async checkpoint(state, kind) {
      await metrics?.sync();
      if (kind === "best") {
        await writeCheckpoint(directory, { ...target, state }, "best");
        return;
      }
      await writeCheckpoint(checkpoints, { ...target, state });
      await pruneCheckpoints(checkpoints, keep);
    },
    async restoreBest() {
      if (!existsSync(best)) return false;
      await readCheckpoint(best, target);
      return true;
    },
    async row(row) {
      const { metrics, events } = await opened();
      // What the operating system counts, so that whatever the backend allocates outside of JavaScript is in it.
      const figures = { ...row, peakMemoryMiB: Math.round(process.resourceUsage().maxRSS / 1024) };
      await metrics.append(figures);
      await events.scalars(row.step, figures);
    },
    async evaluation(step, values) {
      const { metrics, events } = await opened();
      const named = Object.fromEntries(
        Object.entries(values).map(([name, value]) => [`eval/${name}`, value]),
      );
      await metrics.append({ step, ...named });
      await events.scalars(step, named);
    },
    async failure(error) {
      failed = true;
      if (!(error instanceof NonFiniteError)) return;
      const { step, epoch, batchIndex, batch, message } = error;
      const text = JSON.stringify({ message, step, epoch, batchIndex, batch }, null, 2);
      await writeDurably(join(directory, "non-finite-batch.json"), `${text}\n`);
    },
    async close() {
      // Each is tried whatever becomes of the others; a lock that stays would refuse the next run of this process.
      const ends = [() => metrics?.sync(), () => metrics?.close(), () => events?.close(), unlock];
      const problems: unknown[] = [];
      for (const end of ends) {
        try {
          await end();
        } catch (error) {
          problems.push(error);
        }
      }
      // What training failed of is what its caller has to hear.
      if (problems.length > 0 && !failed) throw problems[0];
    },
  };
}
