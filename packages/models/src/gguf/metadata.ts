import type { ByteSource } from "./byte-source.ts";
import type { GgufHeader, GgufValue } from "./header.ts";

/** Reads typed values out of a header, each error naming the file and the key. */
export function metadataReader(header: GgufHeader, { name }: ByteSource) {
  const wrong = (key: string, kind: string, value: GgufValue | undefined): never => {
    throw new Error(
      value === undefined
        ? `${name}: the GGUF metadata lacks ${key}`
        : `${name}: the GGUF metadata's ${key} is not ${kind}`,
    );
  };
  const get = (key: string) => header.metadata.get(key);
  return {
    has: (key: string) => header.metadata.has(key),
    number(key: string, otherwise?: number): number {
      const value = get(key) ?? otherwise;
      // Some writers repeat a number for each layer.
      const one =
        typeof value === "object" && value.length > 0 && new Set(value).size === 1 ? value[0] : value;
      return typeof one === "number" ? one : wrong(key, "one number", get(key));
    },
    optionalNumber(key: string): number | undefined {
      const value = get(key);
      return value === undefined || typeof value === "number" ? value : wrong(key, "a number", value);
    },
    text(key: string, otherwise?: string): string {
      const value = get(key) ?? otherwise;
      return typeof value === "string" ? value : wrong(key, "a text", value);
    },
    flag(key: string, otherwise: boolean): boolean {
      const value = get(key) ?? otherwise;
      return typeof value === "boolean" ? value : wrong(key, "a truth value", value);
    },
    texts(key: string): string[] {
      const value = get(key);
      if (!Array.isArray(value) || value.some((item) => typeof item !== "string"))
        return wrong(key, "a list of texts", value);
      return value as string[];
    },
    numbers(key: string, length: number): ArrayLike<number> {
      const value = get(key);
      if (
        typeof value !== "object" ||
        value.length !== length ||
        (length > 0 && typeof value[0] !== "number")
      )
        return wrong(key, `a list of ${length} numbers`, value);
      return value as ArrayLike<number>;
    },
  };
}

export type MetadataReader = ReturnType<typeof metadataReader>;
