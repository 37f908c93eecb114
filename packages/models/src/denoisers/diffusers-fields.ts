/** A config.json that came from outside. */
export type Json = Record<string, unknown>;

/** Reads the fields of one class of diffusers' configurations; what is wrong is named by class and field. */
export interface DiffusersFields {
  /** @throws RangeError on the first field whose value is not one of those that there is a forward pass for */
  only(supported: Record<string, readonly unknown[]>): void;
  number(field: string, fallback: number): number;
  boolean(field: string, fallback: boolean): boolean;
  /** A list of 1 to 16 numbers. */
  numbers(field: string, fallback: readonly number[]): number[];
  /** One number for all of `count` levels, or a list with one each. */
  perLevel(field: string, count: number, fallback: number): number[];
  /** A list of 1 to 16 block names, each told by its flag. */
  blocks<T>(field: string, known: Record<string, T>, fallback: readonly string[]): T[];
}

/** A config.json's fields. @throws RangeError when it is of another class */
export function diffusersFields(json: Json, className: string): DiffusersFields {
  if (json._class_name !== undefined && json._class_name !== className)
    throw new RangeError(`config.json is of a ${String(json._class_name)}; only ${className} can be read.`);
  const fail = (what: string): never => {
    throw new RangeError(`${className} config: ${what}`);
  };
  const list = (field: string, fallback: readonly unknown[]): unknown[] => {
    const value = json[field] ?? fallback;
    if (!Array.isArray(value)) return fail(`${field} is no list.`);
    if (value.length < 1 || value.length > 16)
      return fail(`${field} has ${value.length} entries; expected 1 to 16.`);
    return value;
  };
  const asNumber = (field: string, value: unknown): number =>
    typeof value === "number" ? value : fail(`${field} is ${JSON.stringify(value)}, expected a number.`);
  return {
    only(supported) {
      for (const [field, values] of Object.entries(supported))
        if (!values.some((value) => JSON.stringify(value) === JSON.stringify(json[field])))
          fail(
            `${field} is ${JSON.stringify(json[field])}; only ${values
              .filter((value) => value !== undefined)
              .map((value) => JSON.stringify(value))
              .join(" and ")} can be read.`,
          );
    },
    number: (field, fallback) => asNumber(field, json[field] ?? fallback),
    boolean(field, fallback) {
      const value = json[field] ?? fallback;
      return typeof value === "boolean"
        ? value
        : fail(`${field} is ${JSON.stringify(value)}, expected true or false.`);
    },
    numbers: (field, fallback) => list(field, fallback).map((value) => asNumber(field, value)),
    perLevel(field, count, fallback) {
      const value = json[field] ?? fallback;
      if (!Array.isArray(value)) return new Array<number>(count).fill(asNumber(field, value));
      if (value.length !== count)
        return fail(`${field} has ${value.length} entries; expected one for each of ${count} levels.`);
      return value.map((each) => asNumber(field, each));
    },
    blocks(field, known, fallback) {
      return list(field, fallback).map((name) =>
        typeof name === "string" && Object.hasOwn(known, name)
          ? known[name]!
          : fail(`${field} has ${JSON.stringify(name)}; only ${Object.keys(known).join(" and ")} are there.`),
      );
    },
  };
}

/** Whether a size from outside is one. */
export const countable = (value: number, max = 65_536): boolean =>
  Number.isSafeInteger(value) && value >= 1 && value <= max;
