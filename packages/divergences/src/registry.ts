import type { Divergence } from "./divergence.ts";

const byName = new Map<string, Divergence>();
const families = new Map<string, (parameter: number) => Divergence>();

/** Names are compared without case, and with `-`, `_` and spaces alike; camelCase too. */
const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]+/g, "");

/** Makes a divergence known to `divergence(name)` under its name and aliases. Throws when one is taken. */
export function register(divergence: Divergence): void {
  const { name, aliases = [] } = divergence.definition;
  for (const key of [name, ...aliases].map(plain)) {
    const holder = byName.get(key);
    if (holder && holder.name !== name)
      throw new Error(`defineDivergence: the name "${name}" or an alias of it is taken by ${holder.name}.`);
    byName.set(key, divergence);
  }
}

/** Makes a family known, as `family:parameter`. */
export function registerFamily(name: string, make: (parameter: number) => Divergence): void {
  families.set(name, make);
}

/** The names of every registered divergence, and of families with their parameter's place. */
export function divergenceNames(): string[] {
  const names = new Set([...byName.values()].map(({ name }) => name));
  return [...names, ...[...families.keys()].map((family) => `${family}:<number>`)].sort();
}

/**
 * The divergence of a name as a configuration has it: `jensen-shannon`, `reverse_kl`, `js`, `alpha:0.3`, `dual:jeffreys`.
 *
 * @throws RangeError on an unknown name, with the nearest known one
 */
export function divergence(name: string): Divergence {
  const text = name.trim();
  const cut = text.indexOf(":");
  if (cut > 0) {
    const family = plain(text.slice(0, cut));
    const rest = text.slice(cut + 1).trim();
    if (family === "dual") return divergence(rest).dual();
    const make = families.get(family);
    const parameter = Number(rest);
    if (make && rest !== "" && Number.isFinite(parameter)) return make(parameter);
    if (make) throw new RangeError(`"${name}": "${rest}" is no number; write it as ${family}:0.5.`);
  }
  const found = byName.get(plain(text));
  if (found) return found;
  const known = [...byName.keys()];
  const near = known
    .map((key) => ({ key, shared: sharedPairs(key, plain(text)) }))
    .sort((a, b) => b.shared - a.shared)[0];
  const guess = near && near.shared > 0.4 ? ` Did you mean "${byName.get(near.key)!.name}"?` : "";
  throw new RangeError(
    `There is no divergence "${name}".${guess} There are: ${divergenceNames().join(", ")}.`,
  );
}

/** Dice's coefficient of two words' letter pairs. */
function sharedPairs(a: string, b: string): number {
  const pairs = (word: string) =>
    new Set(Array.from({ length: word.length - 1 }, (_, i) => word.slice(i, i + 2)));
  const [first, second] = [pairs(a), pairs(b)];
  const shared = [...first].filter((pair) => second.has(pair)).length;
  return (2 * shared) / Math.max(1, first.size + second.size);
}
