/** Bounds a hostile `config.json`: no size of a published model comes near. */
const largestSize = 1 << 27;
const mostLayers = 4096;

/** One entry a layer, made before the config is checked: of a count that will be refused few enough. */
export const perLayer = <T>(layers: number, of: (layer: number) => T): T[] =>
  Array.from({ length: Math.min(layers, mostLayers) }, (_, layer) => of(layer));

/**
 * Holds the sizes of a config against what there can be.
 *
 * @param what the config's name in messages, such as "T5 config"
 * @param names of the sizes; those that end in "layers" are bounded more closely
 * @throws RangeError naming the field
 */
export function checkSizes<N extends string>(
  what: string,
  config: Record<N, number>,
  names: readonly N[],
): void {
  for (const name of names) {
    const value = config[name];
    if (!Number.isInteger(value) || value < 1 || value > largestSize)
      throw new RangeError(`${what}: ${name} must be a positive integer below ${largestSize}, got ${value}`);
    if (/layers$/i.test(name) && value > mostLayers)
      throw new RangeError(`${what}: ${name} must be at most ${mostLayers}, got ${value}`);
  }
}

/** @throws RangeError where a size that may be 0 can't be what it is */
export function checkCount(what: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > largestSize)
    throw new RangeError(`${what}: ${name} must be a whole number of at least 0, got ${value}`);
}

/** @throws RangeError where a share, such as of dropout or a norm's ε, is not in [0, 1) */
export function checkShare(what: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw new RangeError(`${what}: ${name} must be in [0, 1), got ${value}`);
}

/** @throws RangeError where an id is none of the vocabulary's */
export function checkId(what: string, name: string, value: number, vocabularySize: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= vocabularySize)
    throw new RangeError(`${what}: ${name} must be a token id, got ${value}`);
}
