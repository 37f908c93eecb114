import * as tf from "@tensorflow/tfjs-core";
import type { IterationDraws, Piece } from "./iteration-draws.ts";
import { gradientsOf } from "./learner.ts";

/** Scalars to log, by name; kept. */
export type Log = Record<string, tf.Tensor>;

/** Reads scalars in one go and frees them. */
export async function readScalars(scalars: Log): Promise<Record<string, number>> {
  const names = Object.keys(scalars);
  if (names.length === 0) return {};
  const joined = tf.tidy(() => tf.stack(names.map((name) => tf.reshape(scalars[name]!, []))));
  const values = await joined.data();
  tf.dispose([joined, ...Object.values(scalars)]);
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

/** The same of a batch from that of its pieces, by the names of deviations, which are no means. */
function joined(
  pieces: Record<string, number>[],
  deviations: Record<string, string>,
): Record<string, number> {
  const [first] = pieces;
  if (pieces.length === 1) return first!;
  const mean = (of: (piece: Record<string, number>) => number) =>
    pieces.reduce((sum, piece) => sum + of(piece), 0) / pieces.length;
  return Object.fromEntries(
    Object.keys(first!).map((name) => {
      const centre = deviations[name];
      if (centre === undefined) return [name, mean((piece) => piece[name]!)];
      const square = mean((piece) => piece[name]! ** 2 + piece[centre]! ** 2);
      return [name, Math.sqrt(Math.max(0, square - mean((piece) => piece[centre]!) ** 2))];
    }),
  );
}

/**
 * The gradients of a batch's mean loss, summed piece by piece so that memory is that of one piece, with what the pieces log.
 *
 * @param loss the mean over a piece's examples; what it keeps for its gradient goes into `toFree`
 * @param deviations names of standard deviations in the log, and of the means that are theirs
 * @returns the caller disposes of the gradients
 */
export async function accumulate(
  draws: IterationDraws,
  loss: (piece: Piece, log: Log, toFree: tf.Tensor[]) => tf.Scalar,
  nets: Record<string, ReadonlyMap<string, tf.Variable>>,
  deviations: Record<string, string> = {},
): Promise<{ gradients: Map<string, tf.Tensor>; logged: Record<string, number> }> {
  let gradients = new Map<string, tf.Tensor>();
  const logs: Record<string, number>[] = [];
  for (const piece of draws.pieces()) {
    const log: Log = {};
    const toFree: tf.Tensor[] = [];
    const own = gradientsOf(() => {
      const mean = loss(piece, log, toFree);
      return (piece.share === 1 ? mean : tf.mul(piece.share, mean)) as tf.Scalar;
    }, nets);
    const before = gradients;
    gradients = new Map(
      [...own.gradients].map(([name, gradient]) => {
        const sum = before.get(name);
        return [name, sum ? tf.add(sum, gradient) : gradient];
      }),
    );
    for (const [name, gradient] of own.gradients)
      if (before.has(name)) tf.dispose([gradient, before.get(name)!]);
    for (const [name, gradient] of before) if (!gradients.has(name)) gradients.set(name, gradient);
    tf.dispose(toFree);
    const { total, ...rest } = await readScalars({ ...log, total: own.value });
    logs.push({ ...rest, total: total! / piece.share });
  }
  return { gradients, logged: joined(logs, deviations) };
}
