/** A map that forgets what was used least recently. */
export interface BoundedCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  readonly size: number;
}

/** A cache of at most `capacity` entries; keys longer than `longestKey` are never kept. */
export function boundedCache<V>(capacity: number, longestKey = 65_536): BoundedCache<V> {
  if (!Number.isSafeInteger(capacity) || capacity < 0)
    throw new RangeError(`boundedCache: the capacity is ${capacity}, expected a whole number.`);
  const entries = new Map<string, V>();
  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      if (capacity === 0 || key.length > longestKey) return;
      entries.delete(key);
      entries.set(key, value);
      if (entries.size > capacity) entries.delete(entries.keys().next().value!);
    },
    get size() {
      return entries.size;
    },
  };
}
