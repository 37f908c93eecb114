import * as tf from "@tensorflow/tfjs-core";
import type { SinkhornAttributes } from "../sinkhorn-kernel.ts";
import type { Implementation } from "./kernels.ts";

const damping = ({ lambda, rowDamping, columnDamping, relaxation }: SinkhornAttributes) => ({
  lambda: { float: lambda },
  row_damping: { float: rowDamping },
  column_damping: { float: columnDamping },
  relaxation: { float: relaxation },
});

/** Entropic transport, its gradient, and the distances that make costs. */
export const transportImplementations: Record<string, Implementation> = {
  FdivSinkhorn(ops, { cost, a, b, fStart, gStart }, attributes) {
    const { iterations, tolerance, checkEvery, keepHistory } = attributes as SinkhornAttributes;
    const outputs = ops.run("FdivSinkhorn", [cost!, a!, b!, fStart!, gStart!], 9, {
      ...damping(attributes as SinkhornAttributes),
      iterations: { int: iterations },
      tolerance: { float: tolerance },
      check_every: { int: checkEvery },
      keep_history: { bool: keepHistory },
    });
    const [f, g, steps, ...rest] = outputs as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    const kept = [f, g, tf.cast(steps, "int32"), ...rest.slice(0, keepHistory ? 6 : 4)];
    tf.dispose([steps, ...rest.slice(keepHistory ? 6 : 4)]);
    return kept;
  },
  FdivSinkhornGrad(ops, inputs, attributes) {
    const { cost, a, b, fStart, gStart, fHistory, gHistory, steps, df, dg } = inputs;
    const given = [cost, a, b, fStart, gStart, fHistory, gHistory, steps, df, dg];
    return ops.run(
      "FdivSinkhornGrad",
      given.map((tensor) => tensor!),
      5,
      damping(attributes as SinkhornAttributes),
    );
  },
  FdivPairwiseDistance: (ops, { x, y }, { squared }) =>
    ops.run("FdivPairwiseDistance", [x!, y!], 1, { squared: { bool: squared } }),
  FdivPairwiseL1Grad: (ops, { d, x, y }, { transposed }) =>
    ops.run("FdivPairwiseL1Grad", [d!, x!, y!], 1, { transposed: { bool: transposed } }),
};
