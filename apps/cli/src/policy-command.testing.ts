import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { fdiv, figuresOf, flags, rowsOf, signalled, silentSession } from "./command-line.testing.ts";
import { readConfig } from "./config/config-file.ts";
import { approach } from "./dpg/approach.ts";
import { dpgSchema } from "./dpg/dpg-schema.ts";
import { exitCodeOf, explain } from "./failure.ts";
import { ppoSchema } from "./ppo/ppo-schema.ts";
import { raiseReward } from "./ppo/raise-reward.ts";

type Row = Record<string, number>;

/** A command that trains a policy, in a folder of its own, with settings that all its runs have. */
export interface PolicyCommand {
  at(name: string): string;
  /** A whole run into the folder of that name. */
  run(name: string, ...settings: string[]): Promise<{ code: number; err: string; rows: Row[] }>;
  rows(name: string): Promise<Row[]>;
  json(path: string): Promise<ReturnType<typeof JSON.parse>>;
  /**
   * Runs once without and once with a signal after some steps, and a resume; both must have written the same rows, but for timings, and the
   * same files.
   *
   * @returns the rows, and what the whole run told
   */
  survives(
    names: { straight: string; stopped: string },
    stop: { signal: "SIGINT" | "SIGKILL"; after: number; files: string[] },
    ...settings: string[]
  ): Promise<{ rows: Row[]; err: string }>;
  /** The one message that settings are refused with, before anything is written; in this process, which is quicker. */
  refusal(...settings: string[]): Promise<string>;
}

/** Reads a command's settings and runs it here. */
async function runHere(command: "dpg" | "ppo", settings: string[]): Promise<void> {
  if (command === "dpg") await approach(await readConfig(dpgSchema, undefined, settings), silentSession());
  else await raiseReward(await readConfig(ppoSchema, undefined, settings), silentSession());
}

export async function policyCommand(
  command: "dpg" | "ppo",
  common: (at: PolicyCommand["at"]) => string[],
): Promise<PolicyCommand> {
  const place = await mkdtemp(join(tmpdir(), `fdiv-${command}-`));
  const at = (name: string) => join(place, name);
  const settingsOf = (name: string, settings: readonly string[]) =>
    flags([...common(at), ...settings, `output=${at(name)}`]);
  const rows = (name: string): Promise<Row[]> => rowsOf(at(name));
  const figures = async (name: string) => figuresOf(await rows(name));
  const run: PolicyCommand["run"] = async (name, ...settings) => {
    const { code, err } = await fdiv(command, ...settingsOf(name, settings));
    expect(code, err).toBe(0);
    return { code, err, rows: await rows(name) };
  };
  return {
    at,
    run,
    rows,
    json: async (path) => JSON.parse(await readFile(at(path), "utf8")),
    async survives({ straight, stopped }, { signal, after, files }, ...settings) {
      const whole = await run(straight, ...settings);
      const isReady = async () => expect((await rows(stopped)).length).toBeGreaterThan(after);
      const args = [command, ...settingsOf(stopped, settings)];
      const code = await signalled(args, signal, isReady, { timeout: 60_000, interval: 20 });
      if (signal === "SIGINT") expect(code).toBe(130);
      expect((await rows(stopped)).length).toBeLessThan(whole.rows.length);
      expect((await fdiv(command, at(stopped), "--resume")).code).toBe(0);
      expect(await figures(stopped)).toEqual(await figures(straight));
      for (const file of files) {
        const [one, other] = await Promise.all(
          [straight, stopped].map((name) => readFile(at(`${name}/${file}`))),
        );
        expect(one!.equals(other!), file).toBe(true);
      }
      return whole;
    },
    async refusal(...settings) {
      const all = [...common(at), ...settings, `output=${at("refused")}`];
      const error = await runHere(command, all).then(
        () => new Error("it was not refused"),
        (failure) => failure,
      );
      expect(exitCodeOf(error)).toBe(1);
      expect(existsSync(at("refused"))).toBe(false);
      const message = explain(error);
      expect(message).not.toMatch(/ at .*\.ts:\d/);
      return message;
    },
  };
}
