import { table } from "./html.ts";
import type { RunData } from "./run-data.ts";
import { bySettings } from "./run-groups.ts";
import { settingsOf } from "./settings.ts";

/** With more settings than these a row is one setting, not one key. */
const mostColumns = 6;

/** The keys in which the settings differ, seeds and places aside. */
export function settingDifferences(runs: readonly RunData[]): string {
  const groups = bySettings(runs);
  const all = groups.map(([first]) => settingsOf(first!));
  const keys = [...new Set(all.flatMap((settings) => [...settings.keys()]))].filter(
    (key) => new Set(all.map((settings) => settings.get(key))).size > 1,
  );
  if (keys.length === 0) return "";
  const names = groups.map((own) =>
    own.length > 1 ? `${own[0]!.name} and ${own.length - 1} more` : own[0]!.name,
  );
  const value = (group: number, key: string): string => all[group]!.get(key) ?? "–";
  return groups.length > mostColumns && keys.length <= mostColumns
    ? table(
        ["run", ...keys],
        names.map((name, g) => [name, ...keys.map((key) => value(g, key))]),
        "small",
      )
    : table(
        ["key", ...names],
        keys.map((key) => [key, ...names.map((_, g) => value(g, key))]),
        "small",
      );
}
