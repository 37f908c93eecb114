import * as tf from "@tensorflow/tfjs-core";
import { attentionMask } from "./attention-mask.ts";
import { defineKernel } from "./kernel.ts";
import { stockMatMul } from "./mat-mul.ts";
import { checkRank, checkShape, checkType, printShape } from "./shape-check.ts";

export interface AttentionOptions {
  heads: number;
  /** Heads of k and v; query head h reads key head ⌊h·kvHeads/heads⌋. */
  kvHeads: number;
  /** Default 1/√D. */
  scale?: number;
  /** A query sees the last `window` keys only; 0, the default, sees all. */
  window?: number;
}

export type AttentionAttributes = Required<AttentionOptions>;
export type AttentionInputs = { q: tf.Tensor; k: tf.Tensor; v: tf.Tensor; layout: tf.Tensor };
type Biased = { bias?: tf.Tensor };
/** What the weights are multiplied by, [B, heads, T, S]. */
type Dropped = { dropout?: tf.Tensor };

/** Makes −∞ harmless as a shift: a row that sees nothing has no maximum. */
const finiteOrZero = (x: tf.Tensor): tf.Tensor => tf.where(tf.isFinite(x), x, tf.zerosLike(x));

/** [B, T, kvHeads·groups·D] as [B·kvHeads, groups·T, D]: the queries that share a key head below each other. */
function byKeyHead(x: tf.Tensor, kvHeads: number, groups: number): tf.Tensor {
  const [batch, time, width] = x.shape as [number, number, number];
  const size = width / (kvHeads * groups);
  const split = tf.reshape(x, [batch, time, kvHeads * groups, size]);
  return tf.reshape(tf.transpose(split, [0, 2, 1, 3]), [batch * kvHeads, groups * time, size]);
}

/** The inverse of byKeyHead. */
function byToken(x: tf.Tensor, batch: number, time: number, heads: number): tf.Tensor {
  const size = x.shape[2]!;
  const split = tf.reshape(x, [batch, heads, time, size]);
  return tf.reshape(tf.transpose(split, [0, 2, 1, 3]), [batch, time, heads * size]);
}

/** scale·q·k with the bias and −∞ where masked [B, heads, T, S]. */
function maskedScores(
  { q, k, layout, bias }: Omit<AttentionInputs, "v"> & Biased,
  { heads, kvHeads, scale, window }: AttentionAttributes,
): tf.Tensor {
  const [batch, time] = q.shape as [number, number];
  const keys = k.shape[1]!;
  const raw = stockMatMul(byKeyHead(q, kvHeads, heads / kvHeads), byKeyHead(k, kvHeads, 1), false, true);
  const mask = attentionMask(layout, time, keys, window);
  const scores = tf.mul(tf.reshape(raw, [batch, heads, time, keys]), scale);
  return tf.add(bias ? tf.add(scores, bias) : scores, tf.log(mask));
}

/** The stock composite of attention, for generic twins: the output, and the log-sum-exp of each row of scores. */
export function stockAttention(
  { q, k, v, layout, bias, dropout }: AttentionInputs & Biased & Dropped,
  attributes: AttentionAttributes,
): tf.Tensor[] {
  const { heads, kvHeads } = attributes;
  const groups = heads / kvHeads;
  const [batch, time] = q.shape as [number, number];
  const keys = k.shape[1]!;
  if (q.size === 0 || k.size === 0)
    return [tf.zeros(q.shape), tf.fill([batch, heads, time], Number.NEGATIVE_INFINITY)];
  const scores = maskedScores({ q, k, layout, ...(bias && { bias }) }, attributes);
  const shift = finiteOrZero(tf.max(scores, 3, true));
  const weights = tf.exp(tf.sub(scores, shift));
  const total = tf.sum(weights, 3, true);
  const logSumExp = tf.reshape(tf.add(tf.log(total), shift), [batch, heads, time]);
  const divisor = tf.where(tf.greater(total, 0), total, tf.onesLike(total));
  const all = tf.div(weights, divisor);
  const p = tf.reshape(dropout ? tf.mul(all, dropout) : all, [batch * kvHeads, groups * time, keys]);
  return [byToken(stockMatMul(p, byKeyHead(v, kvHeads, 1)), batch, time, heads), logSumExp];
}

type Saved = { dy: tf.Tensor; out: tf.Tensor; logSumExp: tf.Tensor };

/**
 * The stock composite of its gradient: dq, dk, dv and, with a bias, dbias. With dropout, y = (p∘m)·v, dv = (p∘m)ᵀ·dy and
 * ds = p∘(m∘(dy·vᵀ) − Σ dy∘y).
 */
export function stockAttentionGrad(
  { dy, q, k, v, out, logSumExp, layout, bias, dropout }: AttentionInputs & Biased & Dropped & Saved,
  attributes: AttentionAttributes,
): tf.Tensor[] {
  const { heads, kvHeads, scale } = attributes;
  const groups = heads / kvHeads;
  const [batch, time, width] = q.shape as [number, number, number];
  const keys = k.shape[1]!;
  if (q.size === 0 || k.size === 0)
    return [q, k, v, ...(bias ? [bias] : [])].map((input) => tf.zeros(input.shape));
  const flat = [batch * kvHeads, groups * time, keys];
  const shift = tf.reshape(finiteOrZero(logSumExp), [batch, heads, time, 1]);
  const scores = maskedScores({ q, k, layout, ...(bias && { bias }) }, attributes);
  const p = tf.reshape(tf.exp(tf.sub(scores, shift)), flat);
  const dout = byKeyHead(dy, kvHeads, groups);
  const products = tf.reshape(tf.mul(dy, out), [batch, time, heads, width / heads]);
  const delta = tf.reshape(tf.transpose(tf.sum(products, 3), [0, 2, 1]), [flat[0]!, flat[1]!, 1]);
  const mask = dropout && tf.reshape(dropout, flat);
  const masked = (x: tf.Tensor) => (mask ? tf.mul(x, mask) : x);
  const dp = masked(stockMatMul(dout, byKeyHead(v, kvHeads, 1), false, true));
  const dscores = tf.mul(p, tf.sub(dp, delta));
  const ds = tf.mul(dscores, scale);
  return [
    byToken(stockMatMul(ds, byKeyHead(k, kvHeads, 1)), batch, time, heads),
    byToken(stockMatMul(ds, byKeyHead(q, kvHeads, groups), true), batch, keys, kvHeads),
    byToken(stockMatMul(masked(p), dout, true), batch, keys, kvHeads),
    ...(bias ? [tf.sum(tf.reshape(dscores, [batch, heads, time, keys]), 0)] : []),
  ];
}

/** FdivAttentionGrad: dq, dk and dv from the saved output and log-sum-exp. */
export const attentionGradKernel = defineKernel<AttentionInputs & Saved, AttentionAttributes>({
  name: "FdivAttentionGrad",
  generic: stockAttentionGrad,
});

/** FdivAttention: softmax(scale·q·kᵀ + mask)·v and the log-sum-exp of each row of scores. */
export const attentionKernel = defineKernel<AttentionInputs, AttentionAttributes>({
  name: "FdivAttention",
  generic: stockAttention,
  gradient: {
    inputs: ["q", "k", "v", "layout"],
    outputs: [true, true],
    run: ([dy], [q, k, v, layout, out, logSumExp], attributes) => {
      const [dq, dk, dv] = attentionGradKernel(
        { dy: dy!, q: q!, k: k!, v: v!, out: out!, logSumExp: logSumExp!, layout: layout! },
        attributes,
      );
      return { q: () => dq!, k: () => dk!, v: () => dv! };
    },
  },
});

/** The attributes of an attention over these inputs. @throws when the shapes or head counts do not fit. */
export function attentionAttributes(
  { q, k, v, layout }: AttentionInputs,
  options: AttentionOptions,
): AttentionAttributes {
  const { heads, kvHeads, window = 0 } = options;
  checkRank("attention", "q", q, 3);
  const [batch, , width] = q.shape as [number, number, number];
  const size = width / heads;
  if (!Number.isInteger(size) || !Number.isInteger(heads / kvHeads)) {
    throw new Error(
      `attention: q ${printShape(q.shape)} does not split into ${heads} heads over ${kvHeads} key heads.`,
    );
  }
  checkRank("attention", "k", k, 3);
  checkShape("attention", "k", k, [batch, k.shape[1]!, kvHeads * size], `q ${printShape(q.shape)}`);
  checkShape("attention", "v", v, k.shape, "k's shape");
  checkShape("attention", "layout", layout, [batch, 3], `a row of q ${printShape(q.shape)}`);
  checkType("attention", "layout", layout, "int32");
  return { heads, kvHeads, scale: options.scale ?? 1 / Math.sqrt(size), window };
}

/**
 * Grouped-query attention, softmax(scale·q·kᵀ)·v over the keys that the layout lets each query see
 * (Ainslie et al. 2023, https://arxiv.org/abs/2305.13245). A query that sees nothing gets zeros.
 *
 * Query t of row b has the absolute index a = offset + t and sees keys j ≤ a when a < branchStart, else j < prefixEnd or
 * branchStart ≤ j ≤ a.
 *
 * @param q [B, T, heads·D]
 * @param k [B, S, kvHeads·D]
 * @param v [B, S, kvHeads·D]
 * @param layout int32 [B, 3]: offset, prefixEnd, branchStart
 * @returns [B, T, heads·D]
 * @throws when the shapes or head counts do not fit
 */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  layout: tf.Tensor,
  options: AttentionOptions,
): tf.Tensor {
  const attributes = attentionAttributes({ q, k, v, layout }, options);
  return tf.tidy(() => attentionKernel({ q, k, v, layout }, attributes)[0]!);
}
