import type { SamplingLaw } from "./law.ts";
import type { Proposal } from "./policy.ts";

/** An outcome kept with the probability that it was drawn with; plain JSON where outcomes are. */
export interface StoredSample<X> {
  outcome: X;
  /** Index of its context; 0 where there is none. */
  context: number;
  /** ln probability under the law that it was drawn from. */
  logProb: number;
}

/**
 * Stored samples as a proposal, for training offline: each is drawn uniformly, with replacement, from those of its context, and weighed by
 * the probability that it had when it was drawn. Standard errors count each draw as a new one, so that they are too small once more is drawn
 * than was stored.
 *
 * @param stored samples drawn in proportion to their probability, all of a context by one law
 * @param contexts the contexts that indexes mean; default the one, undefined
 * @throws RangeError on an index without a context; when drawing, on a context without samples
 */
export function replay<X, C = undefined>(
  stored: readonly StoredSample<X>[],
  options: { contexts?: readonly C[]; law?: SamplingLaw } = {},
): Proposal<X, C> {
  const contexts = options.contexts ?? [undefined as C];
  const byContext = new Map<C, StoredSample<X>[]>(contexts.map((context) => [context, []]));
  for (const sample of stored) {
    const mine = sample.context in contexts ? byContext.get(contexts[sample.context]!) : undefined;
    if (!mine)
      throw new RangeError(
        `replay: a sample is of context ${sample.context}, but there are ${contexts.length}.`,
      );
    mine.push(sample);
  }
  return {
    sample(asked, random) {
      const drawn = asked.map((context) => {
        const mine = byContext.get(context);
        if (!mine || mine.length === 0) throw new RangeError("replay: a context has no stored samples.");
        return mine[random.integer(mine.length)]!;
      });
      return {
        outcomes: drawn.map(({ outcome }) => outcome),
        logProbs: drawn.map(({ logProb }) => logProb),
        ...(options.law && { law: options.law }),
      };
    },
  };
}
