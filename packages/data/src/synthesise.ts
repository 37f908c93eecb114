import { hashUniform } from "./hash.ts";

export interface ScoredGroup {
  prompt: string;
  completions: readonly { text: string; reward: number }[];
}

export interface SynthesisOptions {
  seed?: number;
  /** Most pairs of one prompt; default all. */
  pairsPerPrompt?: number;
  /** Divides the rewards' difference: 0 always prefers the larger reward, large ones toss coins. Default 1. */
  temperature?: number;
}

/**
 * Preferences drawn from known rewards by Bradley–Terry: the first of a pair is preferred with probability sigmoid((r₁ − r₂)/temperature).
 * Completions with the same text make no pair.
 */
export function synthesisePreferences(
  groups: readonly ScoredGroup[],
  { seed = 0, pairsPerPrompt = Number.POSITIVE_INFINITY, temperature = 1 }: SynthesisOptions = {},
): { prompt: string; chosen: string; rejected: string }[] {
  if (!(temperature >= 0)) throw new RangeError(`synthesisePreferences: temperature is ${temperature}.`);
  return groups.flatMap(({ prompt, completions }, group) => {
    const duels = completions.flatMap((a, i) =>
      completions
        .slice(i + 1)
        .map((b, offset) => ({ a, b, order: hashUniform(seed, "order", group, i, i + 1 + offset) })),
    );
    return duels
      .filter(({ a, b }) => a.text !== b.text && (temperature > 0 || a.reward !== b.reward))
      .sort((left, right) => left.order - right.order)
      .slice(0, pairsPerPrompt)
      .map(({ a, b }, duel) => {
        const difference = a.reward - b.reward;
        const probability =
          temperature > 0 ? 1 / (1 + Math.exp(-difference / temperature)) : Number(difference > 0);
        const first = hashUniform(seed, "duel", group, duel) < probability;
        return { prompt, chosen: first ? a.text : b.text, rejected: first ? b.text : a.text };
      });
  });
}
