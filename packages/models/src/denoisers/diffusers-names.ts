/** Names of attention before diffusers 0.13, and today's. */
const renamed: [RegExp, string][] = [
  [/\.query\.(weight|bias)$/, ".to_q.$1"],
  [/\.key\.(weight|bias)$/, ".to_k.$1"],
  [/\.value\.(weight|bias)$/, ".to_v.$1"],
  [/\.proj_attn\.(weight|bias)$/, ".to_out.0.$1"],
];

/** A parameter's name today. */
export const todaysName = (name: string): string =>
  renamed.reduce((text, [old, now]) => text.replace(old, now), name);

/**
 * The shape that a tensor of a file has here: old attention projections may be 1 × 1 convolutions, the same numbers in another shape.
 *
 * @param name today's
 * @param expected undefined where there is no such parameter
 */
export function todaysShape(
  name: string,
  shape: readonly number[],
  expected: readonly number[] | undefined,
): number[] {
  const size = (axes: readonly number[]) => axes.reduce((product, n) => product * n, 1);
  const same = expected && size(expected) === size(shape) && /\.to_(q|k|v|out\.0)\.weight$/.test(name);
  return [...(same ? expected : shape)];
}
