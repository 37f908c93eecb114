import * as tf from "@tensorflow/tfjs-core";
import { checkOptions } from "./option-check.ts";
import type { Marginals, Ragged } from "./sinkhorn-options.ts";

/** Problems side by side. */
export interface TransportProblem {
  /** [problems, n, m] */
  cost: tf.Tensor3D;
  /** [problems, n] and [problems, m], not negative; 0 for points that are not there */
  a: tf.Tensor2D;
  b: tf.Tensor2D;
}

const isList = (x: unknown): x is readonly number[] => Array.isArray(x) || ArrayBuffer.isView(x);

function maskOf(
  side: string,
  given: readonly number[] | tf.Tensor,
  batch: number,
  points: number,
): tf.Tensor2D {
  if (!(given instanceof tf.Tensor)) {
    if (!isList(given))
      throw new TypeError(
        `sinkhorn: ragged.${side} is ${given}, expected sizes, one a problem, or a mask; ragged needs both rows and columns.`,
      );
    if (given.length !== batch)
      throw new RangeError(`sinkhorn: ragged.${side} has ${given.length} sizes for ${batch} problems.`);
    const wrong = given.find((size) => !(Number.isInteger(size) && size >= 0 && size <= points));
    if (wrong !== undefined)
      throw new RangeError(
        `sinkhorn: ragged.${side} holds ${wrong}, expected whole numbers in [0, ${points}].`,
      );
    const mask = new Float32Array(batch * points);
    for (let i = 0; i < batch; i++) mask.fill(1, i * points, i * points + given[i]!);
    return tf.tensor2d(mask, [batch, points]);
  }
  const shape = given.rank === 1 && batch === 1 ? [1, given.shape[0]!] : given.shape;
  if (shape.length !== 2 || shape[0] !== batch || shape[1] !== points)
    throw new RangeError(
      `sinkhorn: the mask of ragged.${side} has shape [${given.shape}], expected [${batch}, ${points}].`,
    );
  return tf.cast(tf.reshape(tf.notEqual(given, 0), [batch, points]), "float32");
}

function masses(
  side: "a" | "b",
  marginals: Marginals,
  mask: tf.Tensor2D | undefined,
  batch: number,
  points: number,
): tf.Tensor2D {
  const present = mask ?? (tf.ones([batch, points]) as tf.Tensor2D);
  if (marginals === "unit") return present;
  if (marginals === "normalised") return tf.div(present, tf.maximum(tf.sum(present, 1, true), 1));
  const given = marginals[side];
  if (!(given instanceof tf.Tensor))
    throw new TypeError(
      `sinkhorn: marginal ${side} is ${isList(given) ? "an array" : given}, expected a tensor; marginals take both a and b.`,
    );
  const isShared = given.rank === 1 && given.shape[0] === points;
  if (!isShared && !(given.rank === 2 && given.shape[0] === batch && given.shape[1] === points))
    throw new RangeError(
      `sinkhorn: marginal ${side} has shape [${given.shape}], expected [${points}] or [${batch}, ${points}].`,
    );
  const whole = isShared ? tf.tile(tf.expandDims(given, 0), [batch, 1]) : given;
  return (mask ? tf.mul(whole, mask) : tf.clone(whole)) as tf.Tensor2D;
}

/** Backends whose numbers are at hand, so that looking at a few costs nothing. */
export const canLook = (): boolean => ["cpu", "wasm", "tensorflow"].includes(tf.getBackend());

/** @throws when masses are negative, NaN or infinite, or the two sides differ though both have to hold */
function checkMasses(a: tf.Tensor2D, b: tf.Tensor2D, balanced: boolean): void {
  if (!canLook()) return;
  const totals = [a, b].map((side, which) => {
    const [batch, points] = side.shape;
    const values = side.dataSync();
    return Array.from({ length: batch }, (_, i) => {
      let total = 0;
      for (let j = 0; j < points; j++) {
        const mass = values[i * points + j]!;
        if (!(mass >= 0 && mass < Number.POSITIVE_INFINITY))
          throw new RangeError(`sinkhorn: marginal ${"ab"[which]} of problem ${i} holds ${mass} at ${j}.`);
        total += mass;
      }
      return total;
    });
  });
  const [left, right] = totals as [number[], number[]];
  left.forEach((total, i) => {
    const other = right[i]!;
    if (balanced && !(Math.abs(total - other) <= 1e-3 * Math.max(total, other)))
      throw new RangeError(
        `sinkhorn: problem ${i} has mass ${total} on the rows and ${other} on the columns; normalise them, or take unbalanced.`,
      );
  });
}

/** @throws on marginals and ragged that are neither of what they may be */
function checkSides(marginals: Marginals, ragged: Ragged | undefined): void {
  if (typeof marginals === "object") checkOptions("sinkhorn: marginals", marginals, { a: true, b: true });
  else if (marginals !== "normalised" && marginals !== "unit")
    throw new RangeError(
      `sinkhorn: there are no marginals "${marginals}"; there are normalised, unit, or { a, b } of tensors.`,
    );
  if (ragged !== undefined) checkOptions("sinkhorn: ragged", ragged, { rows: true, columns: true });
}

/**
 * Makes problems of what was given: one cost [n, m] or a batch [problems, n, m].
 *
 * @throws RangeError when shapes do not fit, a mass is negative or not finite, or the sides' masses differ
 */
export function transportProblem(
  cost: tf.Tensor,
  { marginals = "normalised", ragged }: { marginals?: Marginals; ragged?: Ragged },
  balanced: boolean,
): TransportProblem {
  if (!(cost instanceof tf.Tensor))
    throw new TypeError(
      `sinkhorn: the cost is ${isList(cost) ? "an array" : cost}, expected a tensor [n, m] or [problems, n, m], such as tf.tensor2d gives.`,
    );
  checkSides(marginals, ragged);
  if (cost.rank !== 2 && cost.rank !== 3)
    throw new RangeError(
      `sinkhorn: the cost has shape [${cost.shape}], expected [n, m] or [problems, n, m].`,
    );
  if (cost.dtype !== "float32")
    throw new RangeError(`sinkhorn: the cost has dtype ${cost.dtype}, expected float32.`);
  const whole = (cost.rank === 2 ? tf.expandDims(cost, 0) : tf.clone(cost)) as tf.Tensor3D;
  const [batch, n, m] = whole.shape;
  const rows = ragged && maskOf("rows", ragged.rows, batch, n);
  const columns = ragged && maskOf("columns", ragged.columns, batch, m);
  const a = masses("a", marginals, rows, batch, n);
  const b = masses("b", marginals, columns, batch, m);
  const mayDiffer = marginals === "unit" && (ragged !== undefined || n !== m);
  if (mayDiffer && balanced) checkMasses(a, b, true);
  else if (typeof marginals === "object") checkMasses(a, b, balanced);
  return { cost: whole, a, b };
}
