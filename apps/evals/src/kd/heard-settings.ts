import { ignoredKeys, kdKeys, readConfig } from "@fdiv/cli";

/** A loss, or one varied setting of it. */
export interface Variant {
  name: string;
  settings: string[];
}

const keyOf = (setting: string): string => setting.slice(0, setting.indexOf("="));

/**
 * The common settings that each variant takes: α says nothing to cross-entropy alone, and stands beside it for the other losses. What no variant
 * hears of is left in, and refused.
 */
export async function heardSettings(
  settings: readonly string[],
  variants: readonly Variant[],
): Promise<string[][]> {
  const ignored = await Promise.all(
    variants.map(async ({ settings: own }) => {
      const written = await readConfig(kdKeys, undefined, [...settings, ...own, "output=any"]);
      return new Set(ignoredKeys(written).map(({ path }) => path.join(".")));
    }),
  );
  const isHeard = (key: string): boolean => ignored.some((keys) => !keys.has(key));
  return ignored.map((keys) =>
    settings.filter((setting) => !keys.has(keyOf(setting)) || !isHeard(keyOf(setting))),
  );
}
