type Tokens = readonly (string | number)[];

/** Counts of a text's n-grams; a gram is its tokens joined by a character that no token holds. */
function ngramCounts(tokens: Tokens, n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= tokens.length; i++) {
    const gram = tokens.slice(i, i + n).join("\u0000");
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** Distinct-n: different n-grams over all n-grams of all texts together (Li et al. 2016, arXiv 1510.03055); 0 without any. */
export function distinctN(texts: readonly Tokens[], n: number): number {
  const all = new Set<string>();
  let total = 0;
  for (const tokens of texts)
    for (const [gram, count] of ngramCounts(tokens, n)) {
      all.add(gram);
      total += count;
    }
  return total === 0 ? 0 : all.size / total;
}

/** Entropy of the n-grams of all texts together, in nats. */
export function ngramEntropy(texts: readonly Tokens[], n: number): number {
  const counts = new Map<string, number>();
  let total = 0;
  for (const tokens of texts)
    for (const [gram, count] of ngramCounts(tokens, n)) {
      counts.set(gram, (counts.get(gram) ?? 0) + count);
      total += count;
    }
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / total) * Math.log(count / total);
  return entropy;
}

/** The largest and second largest count of each n-gram over texts, and which text holds the largest. */
function clippingTable(
  perText: readonly Map<string, number>[],
): Map<string, { best: number; owner: number; next: number }> {
  const table = new Map<string, { best: number; owner: number; next: number }>();
  perText.forEach((counts, owner) => {
    for (const [gram, count] of counts) {
      const entry = table.get(gram);
      if (!entry) table.set(gram, { best: count, owner, next: 0 });
      else if (count > entry.best) table.set(gram, { best: count, owner, next: entry.best });
      else if (count > entry.next) entry.next = count;
    }
  });
  return table;
}

/**
 * Self-BLEU-n: the mean over texts of BLEU against all the others as references; higher is less diverse (Zhu et al. 2018, arXiv 1802.01886).
 *
 * BLEU is the geometric mean of the clipped n-gram precisions of orders 1 … n, times exp(1 − r/c) when the text's length c is
 * below the closest other length r (the shorter of two as close). A precision of zero counts as ½ a match
 * (Chen & Cherry 2014, method 1 with ε = ½); a text shorter than an order has no such precision, and counts the orders it has.
 * Clipping needs only the two largest counts of each n-gram, so the whole takes linear time. 0 for fewer than two texts.
 */
export function selfBleu(texts: readonly Tokens[], n: number): number {
  if (texts.length < 2) return 0;
  const orders = Array.from({ length: n }, (_, i) => {
    const perText = texts.map((tokens) => ngramCounts(tokens, i + 1));
    return { perText, table: clippingTable(perText) };
  });
  const lengths = texts.map(({ length }) => length);
  let sum = 0;
  for (const [i, tokens] of texts.entries()) {
    if (tokens.length === 0) continue;
    let logSum = 0;
    let used = 0;
    for (const { perText, table } of orders) {
      let matches = 0;
      let total = 0;
      for (const [gram, count] of perText[i]!) {
        const { best, owner, next } = table.get(gram)!;
        matches += Math.min(count, owner === i ? next : best);
        total += count;
      }
      if (total === 0) continue;
      logSum += Math.log(Math.max(matches, 0.5) / total);
      used++;
    }
    const closest = lengths.reduce((best, length, j) => {
      if (j === i) return best;
      const gap = Math.abs(length - tokens.length) - Math.abs(best - tokens.length);
      return gap < 0 || (gap === 0 && length < best) ? length : best;
    }, Number.POSITIVE_INFINITY);
    const brevity = tokens.length < closest ? Math.exp(1 - closest / tokens.length) : 1;
    sum += brevity * Math.exp(logSum / used);
  }
  return sum / texts.length;
}
