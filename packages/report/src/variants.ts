import type { RunData } from "./run-data.ts";
import { bySettings } from "./run-groups.ts";
import { type Settings, settingsOf } from "./settings.ts";

/** The runs of one setting, over their seeds, and what it is called beside the others of a page. */
export interface Variant {
  name: string;
  runs: RunData[];
}

/** More than these say nothing in a row's name; the table of differences has them all. */
const mostNamed = 3;

/** The value that more settings have than any other; undefined where two are as common. */
function commonest(key: string, all: readonly Settings[]): { value: string | undefined } | undefined {
  const counts = new Map<string | undefined, number>();
  for (const settings of all) counts.set(settings.get(key), (counts.get(settings.get(key)) ?? 0) + 1);
  const [first, second] = [...counts].sort(([, a], [, b]) => b - a);
  return first![1] === second?.[1] ? undefined : { value: first![0] };
}

/** A key and its value as a name has them: `lambda 0.02`, `conditional`, `not conditional`. */
function told(key: string, value: string): string {
  const last = key.split(".").at(-1)!;
  if (value === "true") return last;
  return value === "false" ? `not ${last}` : `${last} ${value.replaceAll('"', "")}`;
}

/** Models, data and measuring are told only where nothing else tells variants apart. */
const isCircumstance = (key: string): boolean => /^(teacher|data|task|evaluation)\./.test(key);

/** What is added to the names of variants that share one: the keys in which each differs from what is common on the page. */
function distinctions(
  own: readonly Settings[],
  all: readonly Settings[],
  base: ReadonlySet<string>,
): string[] {
  const keys = [...new Set(own.flatMap((settings) => [...settings.keys()]))].filter(
    (key) => !base.has(key) && new Set(own.map((settings) => settings.get(key))).size > 1,
  );
  const naming = (which: readonly string[]): string[] =>
    own.map((settings) => {
      const odd = which.flatMap((key) => {
        const value = settings.get(key);
        const common = commonest(key, all);
        return value === undefined || (common && common.value === value) ? [] : [told(key, value)];
      });
      return odd.length > mostNamed ? `${odd.slice(0, mostNamed).join(", ")} …` : odd.join(", ");
    });
  const brief = naming(keys.filter((key) => !isCircumstance(key)));
  return new Set(brief).size === own.length ? brief : naming(keys);
}

/**
 * Variants in the order of their first runs, named by `nameOf` (a loss, a divergence) and, where several have that name, by the keys that
 * were varied, as in "sinkhorn, lambda 0.02".
 *
 * @param named keys that the name tells already
 */
export function variantsOf(
  runs: readonly RunData[],
  nameOf: (run: RunData) => string,
  named: readonly string[],
): Variant[] {
  const groups = bySettings(runs).map((own) => ({
    base: nameOf(own[0]!),
    settings: settingsOf(own[0]!),
    runs: own,
  }));
  const all = groups.map(({ settings }) => settings);
  const names = new Map<object, string>();
  for (const base of new Set(groups.map((group) => group.base))) {
    const alike = groups.filter((group) => group.base === base);
    const added = distinctions(
      alike.map(({ settings }) => settings),
      all,
      new Set(named),
    );
    alike.forEach((group, i) => {
      const name = added[i] ? `${base}, ${added[i]}` : base;
      const same = alike.slice(0, i).filter((other) => names.get(other)!.replace(/ \(\d+\)$/, "") === name);
      names.set(group, same.length === 0 ? name : `${name} (${same.length + 1})`);
    });
  }
  return groups.map((group) => ({ name: names.get(group)!, runs: group.runs }));
}
