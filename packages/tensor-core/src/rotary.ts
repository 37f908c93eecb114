import * as tf from "@tensorflow/tfjs-core";
import { checkIndices } from "./index-check.ts";
import { defineKernel, type Kernel } from "./kernel.ts";
import { checkRank, checkShape, printShape } from "./shape-check.ts";

interface Attributes {
  heads: number;
  /** Pairs (2i, 2i+1) rather than Hugging Face's (i, i + R/2). */
  interleaved: boolean;
  /** Rotates back: the gradient. */
  inverse: boolean;
}

/** FdivRotary: rotates the pairs in the first R dimensions of each head of x [B, T, heads·D] by its position's angles. */
export const rotaryKernel: Kernel<
  { x: tf.Tensor; cos: tf.Tensor; sin: tf.Tensor; positions: tf.Tensor },
  Attributes
> = defineKernel({
  name: "FdivRotary",
  generic: ({ x, cos, sin, positions }, { heads, interleaved, inverse }) => {
    const [batch, time, width] = x.shape as [number, number, number];
    if (x.size === 0) return tf.zeros(x.shape);
    const size = width / heads;
    const half = cos.shape[1]!;
    const angles = (table: tf.Tensor) =>
      tf.reshape(tf.gather(table, tf.reshape(positions, [-1]) as tf.Tensor1D), [batch * time, 1, half]);
    const c = angles(cos);
    const s = inverse ? tf.neg(angles(sin)) : angles(sin);
    const rows = tf.reshape(x, [batch * time, heads, size]);
    const turned = tf.slice(rows, [0, 0, 0], [-1, -1, 2 * half]);
    const pairs = interleaved
      ? tf.unstack(tf.reshape(turned, [batch * time, heads, half, 2]), 3)
      : tf.split(turned, 2, 2);
    const first = tf.sub(tf.mul(pairs[0]!, c), tf.mul(pairs[1]!, s));
    const second = tf.add(tf.mul(pairs[1]!, c), tf.mul(pairs[0]!, s));
    const joined = interleaved
      ? tf.reshape(tf.stack([first, second], 3), [batch * time, heads, 2 * half])
      : tf.concat([first, second], 2);
    const rest = tf.slice(rows, [0, 0, 2 * half], [-1, -1, size - 2 * half]);
    const whole = size === 2 * half ? joined : tf.concat([joined, rest], 2);
    return tf.reshape(whole, x.shape);
  },
  gradient: {
    inputs: ["cos", "sin", "positions"],
    outputs: [false],
    run: ([dy], [cos, sin, positions], attributes) => ({
      x: () =>
        rotaryKernel(
          { x: dy!, cos: cos!, sin: sin!, positions: positions! },
          { ...attributes, inverse: !attributes.inverse },
        )[0]!,
    }),
  },
});

/**
 * Rotary position embedding of each head's first R dimensions (Su et al. 2021, https://arxiv.org/abs/2104.09864, eq. 34).
 *
 * @param x [B, T, heads·D]
 * @param cos [positions, R/2] cosines of the angles, R ≤ D
 * @param sin [positions, R/2]
 * @param positions int32 [B, T]
 * @throws when the tables do not fit the heads, or a position is outside them
 */
export function rotary(
  x: tf.Tensor,
  cos: tf.Tensor,
  sin: tf.Tensor,
  positions: tf.Tensor,
  options: { heads: number; interleaved?: boolean },
): tf.Tensor {
  const { heads, interleaved = false } = options;
  checkRank("rotary", "x", x, 3);
  checkRank("rotary", "cos", cos, 2);
  checkShape("rotary", "sin", sin, cos.shape, "cos's shape");
  checkShape(
    "rotary",
    "positions",
    positions,
    x.shape.slice(0, 2),
    `one a token of x ${printShape(x.shape)}`,
  );
  const size = x.shape[2]! / heads;
  if (!Number.isInteger(size) || 2 * cos.shape[1]! > size) {
    throw new Error(
      `rotary: x ${printShape(x.shape)} in ${heads} heads does not fit cos ${printShape(cos.shape)}: ` +
        `the last axis must be heads·D with D ≥ ${2 * cos.shape[1]!}.`,
    );
  }
  checkIndices("rotary", "positions", positions, cos.shape[0]!);
  return rotaryKernel({ x, cos, sin, positions }, { heads, interleaved, inverse: false })[0]!;
}
