import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** How a parameter begins: normal with deviation gain/√fan-in, all ones, or all zeros. */
export interface InitialParameter {
  shape: readonly number[];
  start: "ones" | "zeros" | { gain: number };
}

/** Variables by name, each from a stream of its own, so that a model's other parameters do not change when one is added. */
export function initialise(
  specs: ReadonlyMap<string, InitialParameter>,
  seed: number | string,
): Map<string, tf.Variable> {
  const source = random(seed);
  const parameters = new Map<string, tf.Variable>();
  for (const [name, { shape, start }] of specs) {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = new Float32Array(size).fill(start === "ones" ? 1 : 0);
    if (typeof start === "object") {
      const fanIn = Math.max(1, size / (shape[0] ?? 1));
      source
        .fork(name)
        .normal(size)
        .forEach((z, i) => {
          values[i] = (start.gain * z) / Math.sqrt(fanIn);
        });
    }
    parameters.set(
      name,
      tf.tidy(() => tf.variable(tf.tensor(values, [...shape]))),
    );
  }
  return parameters;
}

/** @throws Error naming a parameter that is missing, superfluous or of another shape */
export function checkParameters(
  what: string,
  parameters: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  expected: ReadonlyMap<string, InitialParameter>,
): void {
  for (const [name, { shape }] of expected) {
    const found = parameters.get(name);
    if (!found || found.shape.join() !== shape.join())
      throw new Error(
        `${what}: the parameter ${name} ${found ? `has shape [${found.shape}]` : "is missing"}, expected [${shape}].`,
      );
  }
  for (const name of parameters.keys())
    if (!expected.has(name))
      throw new Error(`${what}: there is no place for a parameter ${name} in this configuration.`);
}
