import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";

// What the tests of the solver share: the oracle's numbers and costs made of them or of seeds.

/** What the cases hold, each some of it. */
// biome-ignore lint/suspicious/noExplicitAny: numbers and lists of them, as the oracle wrote them.
type Golden = Record<string, any>;
interface Values {
  value: number;
  cost: number[];
  a: number[];
  b: number[];
}

export const golden: {
  balanced: (Golden & { sharp: number; regularised: number })[];
  unbalanced: (Golden & { sharp: number; regularised: number })[];
  gradients: (Golden & { sharp: Values; regularised: Values })[];
  divergence: Golden[];
  tiny: Golden & { sharp: number };
  unconverged: { cost: number[]; values: { lambda: number; paper: number; converged: number }[] };
} = JSON.parse(readFileSync(new URL("golden/sinkhorn.json", import.meta.url), "utf8"));

export const number = (x: tf.Tensor): number => x.dataSync()[0]!;
export const matrix = (values: number[], n: number, m: number): tf.Tensor2D => tf.tensor2d(values, [n, m]);
export const exact = { tolerance: 2e-7, maxIterations: 20000 } as const;
export const units = { marginals: "unit" } as const;

/** A cost of random numbers in [0, 1) made from a seed, so that a failure names its inputs. */
export function randomCost(seed: number, n: number, m: number): tf.Tensor2D {
  return tf.randomUniform([n, m], 0, 1, "float32", seed) as tf.Tensor2D;
}
