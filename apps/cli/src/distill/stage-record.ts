import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { changedSettings, writeDurably } from "@fdiv/trainer/node";
import { ConfigError } from "../config/config-file.ts";

/** What a stage's result is a function of. */
export interface StageRecord {
  /** By the configuration's keys. */
  settings: object;
  /** The data's fingerprint. */
  data: string;
}

/** Identifies what a stage makes, also before it is whole. */
export const stageFingerprint = (record: StageRecord): string =>
  createHash("sha256").update(JSON.stringify(record)).digest("hex");

const fileOf = (folder: string): string => join(folder, "made-with.json");

/** Says, after everything else of a stage is written, what it was made with. */
export const recordStage = (folder: string, record: StageRecord): Promise<void> =>
  writeDurably(fileOf(folder), `${JSON.stringify(record, null, 2)}\n`);

/**
 * Whether a folder holds a stage's whole result; one without a record is unfinished.
 *
 * @throws ConfigError naming the keys, where it was made with others
 */
export async function isStageDone(folder: string, record: StageRecord): Promise<boolean> {
  const text = await readFile(fileOf(folder), "utf8").catch(() => undefined);
  if (text === undefined) return false;
  let before: Partial<StageRecord>;
  try {
    before = JSON.parse(text) as Partial<StageRecord>;
  } catch {
    throw new ConfigError(`${fileOf(folder)}: malformed; remove ${folder}, and it is made anew.`);
  }
  const changes = changedSettings(before.settings, record.settings);
  if (before.data !== record.data) changes.push("the data are others");
  if (changes.length === 0) return true;
  throw new ConfigError(
    `${folder} was made with other settings: ${changes.join("; ")}. Resume with those it was made with, remove ${folder} to have it made anew, or choose another output.`,
  );
}
