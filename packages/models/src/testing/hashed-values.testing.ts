/** The oracles' parameters (tooling/oracles/hashed_values.py): a hash of the name and the index, in [−1, 1). */
export function hashed(name: string, count: number, scale = 1, shift = 0): Float32Array {
  let seed = 0;
  for (const letter of name) seed = (seed * 31 + letter.charCodeAt(0)) % 65521;
  return Float32Array.from({ length: count }, (_, i) => {
    const hash = Math.imul(seed + 1 + i, 2654435761) >>> 0;
    return shift + scale * (hash / 2 ** 31 - 1);
  });
}

/** A checkpoint's tensors of such values; norms about 1. */
export function hashedTensors(specs: Iterable<[string, { shape: number[] }]>) {
  return Array.from(specs, ([name, { shape }]) => {
    const count = shape.reduce((product, axis) => product * axis, 1);
    const flat = shape.length === 1;
    const shift = flat && name.endsWith("weight") ? 1 : 0;
    return { name, shape, read: async () => hashed(name, count, flat ? 0.3 : 0.375, shift) };
  });
}

/** Of each gradient its length and its product with a fixed direction, as the oracles give them. */
export function probesOf(gradients: Iterable<[string, { size: number; dataSync(): ArrayLike<number> }]>) {
  return new Map(
    Array.from(gradients, ([name, gradient]) => {
      const values = gradient.dataSync();
      const direction = hashed(`${name}/probe`, gradient.size);
      let squares = 0;
      let product = 0;
      for (let i = 0; i < values.length; i++) {
        squares += values[i]! ** 2;
        product += values[i]! * direction[i]!;
      }
      return [name, [Math.sqrt(squares), product] as [number, number]];
    }),
  );
}
