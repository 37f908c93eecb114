import type { RunData } from "./run-data.ts";

/** A run's settings by their dotted keys, values as JSON. */
export type Settings = ReadonlyMap<string, string>;

/** Where a run or something that it keeps is written, which changes no figure. */
const isPlace = (key: string): boolean =>
  key === "seed" || key.split(".").some((part) => part === "output" || part === "cache");

function flattened(value: Record<string, unknown>, prefix = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([name, own]): [string, unknown][] => {
    const key = `${prefix}${name}`;
    const isBranch = typeof own === "object" && own !== null && !Array.isArray(own);
    if (isPlace(key)) return [];
    return isBranch && Object.keys(own).length > 0
      ? flattened(own as Record<string, unknown>, `${key}.`)
      : [[key, own]];
  });
}

/** A path without the run's seed: each seed's teacher lies in a folder of its own. */
const withoutSeed = (path: string, seed: unknown): string =>
  path.replace(new RegExp(`seed([-_=]?)${seed}(?!\\d)`, "gi"), "seed$1*");

/**
 * What was set of a run but its seed and its places. `isLoose` takes a path by its last two parts, as the same file of a sweep that was
 * moved has another path for some of the seeds.
 */
export function settingsOf({ config }: RunData, { isLoose = false } = {}): Settings {
  const { seed } = config;
  return new Map(
    flattened(config).map(([key, value]) => {
      if (typeof value !== "string" || !/[/\\]/.test(value)) return [key, JSON.stringify(value)];
      const path = typeof seed === "number" ? withoutSeed(value, seed) : value;
      return [key, JSON.stringify(isLoose ? path.split(/[/\\]/).slice(-2).join("/") : path)];
    }),
  );
}
