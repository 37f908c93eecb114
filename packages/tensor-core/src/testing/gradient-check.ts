import * as tf from "@tensorflow/tfjs-core";
import { assertAllClose, type Tolerance } from "./all-close.ts";

export interface GradientCheckOptions extends Tolerance {
  /** Half the distance of a central difference, relative to max(1, |x|); default .01. */
  step?: number;
}

/** Weights without symmetry, so that a gradient that ignores the upstream one is found out. */
const upstream = (i: number): number => Math.sin(1 + 2.3 * i) + 0.4;

/** The weighted sum of f's output, in double precision. */
function evaluate(f: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): number {
  const y = tf.tidy(() => f(...inputs));
  let sum = 0;
  y.dataSync().forEach((value: number, i: number) => {
    sum += upstream(i) * value;
  });
  y.dispose();
  return sum;
}

/** The central differences of the weighted output with respect to one input. */
function differences(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  which: number,
  step: number,
): number[] {
  const input = inputs[which]!;
  const values = Float32Array.from(input.dataSync());
  const at = (i: number, value: number): number => {
    const moved = Float32Array.from(values);
    moved[i] = value;
    const tensor = tf.tensor(moved, input.shape);
    const result = evaluate(
      f,
      inputs.map((other, j) => (j === which ? tensor : other)),
    );
    tensor.dispose();
    return result;
  };
  return Array.from(values, (value, i) => {
    const h = step * Math.max(1, Math.abs(value));
    const [above, below] = [Math.fround(value + h), Math.fround(value - h)];
    return (at(i, above) - at(i, below)) / (above - below);
  });
}

/**
 * Holds f's gradient with respect to every float input against central differences, under an upstream gradient that
 * differs for each output.
 *
 * @throws naming the input and the element that differ
 */
export function gradientCheck(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  options: GradientCheckOptions = {},
): void {
  const { step = 1e-2, absolute = 2e-3, relative = 5e-3 } = options;
  const y = tf.tidy(() => f(...inputs));
  const dy = tf.tensor(
    Float32Array.from({ length: y.size }, (_, i) => upstream(i)),
    y.shape,
  );
  const gradients = tf.grads(f)(inputs, dy);
  tf.dispose([y, dy]);
  gradients.forEach((gradient, i) => {
    try {
      assertAllClose(gradient, differences(f, inputs, i, step), { absolute, relative });
    } catch (error) {
      throw new Error(`gradientCheck: input ${i}: ${(error as Error).message}`);
    } finally {
      gradient.dispose();
    }
  });
}
