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

/** The values that most settings have, of which there can be several; undefined stands for a key that is not set. */
function commonest(key: string, all: readonly Settings[]): Set<string | undefined> {
  const counts = new Map<string | undefined, number>();
  for (const settings of all) counts.set(settings.get(key), (counts.get(settings.get(key)) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return new Set([...counts].filter(([, count]) => count === most).map(([value]) => value));
}

/** A key and its value as a name has them: `lambda 0.02`, `conditional`, `conditional off`. */
function told(key: string, value: string): string {
  const last = key.split(".").at(-1)!;
  if (value === "true") return last;
  return value === "false" ? `${last} off` : `${last} ${value.replaceAll('"', "")}`;
}

/** Models, data and measuring are told only where nothing else tells variants apart. */
const isCircumstance = (key: string): boolean => /^(teacher|data|task|evaluation)\./.test(key);

/** How a key parts settings: to each the first one that has its value. */
function partsOf(key: string, settings: readonly Settings[]): string {
  const values = settings.map((one) => one.get(key));
  return values.map((value) => values.indexOf(value)).join();
}

/** The keys in which settings differ; of those that some have not, and that part them as another does, none: what is off has no details. */
function tellingKeys(settings: readonly Settings[]): string[] {
  const depth = (key: string): number => key.split(".").length;
  const isMissing = (key: string): boolean => settings.some((one) => !one.has(key));
  const keys = [...new Set(settings.flatMap((one) => [...one.keys()]))]
    .filter((key) => new Set(settings.map((one) => one.get(key))).size > 1)
    .sort(
      (a, b) =>
        Number(isCircumstance(a)) - Number(isCircumstance(b)) ||
        Number(isMissing(a)) - Number(isMissing(b)) ||
        depth(a) - depth(b),
    );
  const parted = new Set<string>();
  return keys.filter((key) => {
    const parts = partsOf(key, settings);
    const isKnown = parted.has(parts);
    parted.add(parts);
    return !isKnown || !isMissing(key);
  });
}

/** What is added to the names of variants that share one: the keys in which each differs from what is common on the page. */
function distinctions(
  own: readonly Settings[],
  all: readonly Settings[],
  base: ReadonlySet<string>,
): string[] {
  const keys = tellingKeys(own).filter((key) => !base.has(key));
  const naming = (which: readonly string[], { tellsDetails = false, tellsMissing = false } = {}): string[] =>
    own.map((settings) => {
      const odd = which.flatMap((key) => {
        const value = settings.get(key);
        const common = commonest(key, all);
        const isUsual = common.has(value) && common.size === 1;
        // What is set as often as not is a detail of another key.
        const isDetail = common.has(value) && common.has(undefined);
        if (isUsual || (isDetail && !tellsDetails)) return [];
        if (value === undefined) return tellsMissing ? [told(key, "unset")] : [];
        return [told(key, value)];
      });
      return odd.length > mostNamed ? `${odd.slice(0, mostNamed).join(", ")} …` : odd.join(", ");
    });
  const brief = keys.filter((key) => !isCircumstance(key));
  const missingToo = { tellsDetails: true, tellsMissing: true };
  const attempts = [
    naming(brief),
    naming(brief, { tellsDetails: true }),
    naming(brief, missingToo),
    naming(keys, missingToo),
  ];
  return attempts.find((names) => new Set(names).size === own.length) ?? attempts.at(-1)!;
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
