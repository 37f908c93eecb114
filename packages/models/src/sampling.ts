export interface SamplingLaw {
  /** 0 takes the likeliest token; the first where several are. */
  temperature: number;
  /** Only the k likeliest tokens; 0 means all. */
  topK: number;
  /** Only the smallest set of likeliest tokens whose probabilities reach this sum; 1 means all. */
  topP: number;
}

export const notFinite = "the model's logits are not finite; its parameters may have diverged.";

export interface Draw {
  id: number;
  /** ln of the probability under the law sampled from: after temperature, top-k and top-p, renormalised. */
  logProb: number;
  /** ln of the probability under the model itself: temperature 1, nothing cut off. */
  policyLogProb: number;
}

/** @throws RangeError naming the option that can't be. */
export function checkLaw({ temperature, topK, topP }: SamplingLaw): void {
  if (!(temperature >= 0 && Number.isFinite(temperature)))
    throw new RangeError(`temperature must be a number of at least 0, got ${temperature}`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new RangeError(`topK must be a whole number of at least 0 (0 means all), got ${topK}`);
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`topP must be in (0, 1], got ${topP}`);
}

/** Restores the heap order below `at`: the root is the worst of those kept. */
function sink(heap: Int32Array, size: number, from: number, worse: (a: number, b: number) => boolean): void {
  let at = from;
  for (;;) {
    let worst = at;
    for (const child of [2 * at + 1, 2 * at + 2])
      if (child < size && worse(heap[child]!, heap[worst]!)) worst = child;
    if (worst === at) return;
    [heap[at], heap[worst]] = [heap[worst]!, heap[at]!];
    at = worst;
  }
}

/** The k ids of largest weight, in no order; of equal weights the smaller ids. */
function largest(weights: Float64Array, k: number): Int32Array {
  const worse = (a: number, b: number) => weights[a]! < weights[b]! || (weights[a]! === weights[b]! && a > b);
  const heap = Int32Array.from({ length: k }, (_, id) => id);
  for (let at = (k >> 1) - 1; at >= 0; at--) sink(heap, k, at, worse);
  for (let id = k; id < weights.length; id++) {
    if (weights[id]! <= weights[heap[0]!]!) continue;
    heap[0] = id;
    sink(heap, k, 0, worse);
  }
  return heap;
}

const sumOf = (weights: Float64Array, ids: Int32Array): number => {
  let sum = 0;
  for (const id of ids) sum += weights[id]!;
  return sum;
};

/** The smallest set of likeliest ids that holds the share `topP` of the weight (Holtzman et al. 2019, https://arxiv.org/abs/1904.09751). */
function nucleus(weights: Float64Array, ids: Int32Array, topP: number): Int32Array {
  const total = sumOf(weights, ids);
  // Together, weights this small are less than what is cut off, so that only the others need sorting.
  const negligible = (total * (1 - topP)) / ids.length;
  const sorted = ids
    .filter((id) => weights[id]! > negligible)
    .sort((a, b) => weights[b]! - weights[a]! || a - b);
  let sum = 0;
  let kept = 0;
  while (kept < sorted.length && (kept === 0 || sum < topP * total)) sum += weights[sorted[kept++]!]!;
  return sorted.subarray(0, kept);
}

/** The id at which the running sum of weights passes u of the whole. */
function pick(weights: Float64Array, ids: Int32Array | undefined, total: number, u: number): number {
  const count = ids ? ids.length : weights.length;
  let rest = u * total;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const id = ids ? ids[i]! : i;
    if (weights[id] === 0) continue;
    last = id;
    rest -= weights[id]!;
    if (rest < 0) break;
  }
  return last;
}

/**
 * Draws one token by inverting the cumulative distribution in float64, exp(logit − max) being its weights.
 *
 * @param logits [vocabulary]
 * @param u uniform in [0, 1)
 * @param forbidden ids that the law gives no probability
 * @throws when the logits are not numbers or everything is forbidden.
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topK, topP }: SamplingLaw,
  u: number,
  forbidden: readonly number[] = [],
): Draw {
  const size = logits.length;
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < size; id++) {
    const logit = logits[id]!;
    if (logit > max) max = logit;
  }
  const weights = new Float64Array(size);
  let policyTotal = 0;
  for (let id = 0; id < size; id++) {
    weights[id] = Math.exp(logits[id]! - max);
    policyTotal += weights[id]!;
  }
  // One NaN or infinity among the logits makes the sum no finite number.
  if (!(Number.isFinite(max) && Number.isFinite(policyTotal))) throw new Error(notFinite);
  const policy = (id: number) => logits[id]! - max - Math.log(policyTotal);

  for (const id of forbidden) weights[id] = 0;
  let best = 0;
  for (let id = 1; id < size; id++) if (weights[id]! > weights[best]!) best = id;
  if (weights[best] === 0) throw new Error("every token that has any probability is forbidden.");
  if (temperature === 0) return { id: best, logProb: 0, policyLogProb: policy(best) };

  const shift = logits[best]!;
  let total = policyTotal;
  if (temperature !== 1 || forbidden.length > 0) {
    for (let id = 0; id < size; id++) weights[id] = Math.exp((logits[id]! - shift) / temperature);
    for (const id of forbidden) weights[id] = 0;
    total = 0;
    for (let id = 0; id < size; id++) total += weights[id]!;
  }
  let ids: Int32Array | undefined;
  if (topK > 0 && topK < size) ids = largest(weights, topK);
  if (topP < 1) ids = nucleus(weights, ids ?? Int32Array.from(weights.keys()), topP);
  if (ids) {
    // The order in which ids are kept must not decide the draw.
    ids.sort();
    total = sumOf(weights, ids);
  }
  const id = pick(weights, ids, total, u);
  return { id, logProb: Math.log(weights[id]! / total), policyLogProb: policy(id) };
}
