const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const longest = 60;

function shown(value: unknown): string {
  if (value === undefined) return "absent";
  const text = JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/**
 * Where two settings differ, by dotted key: `data.limit was 20, is absent`. What JSON does not keep counts as absent; lists are compared whole.
 *
 * @param before as they were read from a file
 */
export function changedSettings(before: unknown, after: unknown): string[] {
  const compare = (a: unknown, b: unknown, key: string): string[] => {
    if (isMapping(a) && isMapping(b))
      return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) => {
        const [from, to] = [a, b].map((all) => (Object.hasOwn(all, name) ? all[name] : undefined));
        return compare(from, to, key ? `${key}.${name}` : name);
      });
    return JSON.stringify(a) === JSON.stringify(b) ? [] : [`${key} was ${shown(a)}, is ${shown(b)}`];
  };
  return compare(before, after === undefined ? undefined : JSON.parse(JSON.stringify(after)), "");
}
