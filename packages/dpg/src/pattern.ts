import { type Feature, feature } from "./feature.ts";
import { type HasText, textOf } from "./text-features.ts";

export interface PatternOptions {
  /** Texts are looked at to this length; default 4096 characters. */
  maxLength?: number;
  /** A match that took longer stops the run; default 1000 milliseconds. It can't be cut short while it lasts. */
  maxMilliseconds?: number;
  /** Whether the whole text must match; default false, anywhere in it. */
  whole?: boolean;
  name?: string;
}

/** A quantifier without an upper bound, or a large one, at this place of a pattern. */
function isUnbounded(source: string, at: number): boolean {
  if (source[at] === "*" || source[at] === "+") return true;
  const counted = /^\{\d+(,(\d*))?\}/.exec(source.slice(at, at + 24));
  return counted?.[1] !== undefined && (counted[2] === "" || Number(counted[2]) > 20);
}

/** Whether an unbounded quantifier applies to a group with one inside, as (a+)+, which takes time exponential in the text's length. */
export function hasNestedQuantifiers(source: string): boolean {
  const groups: boolean[] = [];
  let inside = false;
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const character = source[at]!;
    if (character === "\\") at++;
    else if (inClass) inClass = character !== "]";
    else if (character === "[") inClass = true;
    else if (character === "(") {
      groups.push(inside);
      inside = false;
    } else if (character === ")") {
      const repeated = isUnbounded(source, at + 1);
      if (repeated && inside) return true;
      inside = (groups.pop() ?? false) || inside || repeated;
    } else if (isUnbounded(source, at)) inside = true;
  }
  return false;
}

/**
 * Whether a regular expression matches the text.
 *
 * JavaScript can't stop a match that backtracks without end. So nested unbounded quantifiers are refused, texts are cut at `maxLength`,
 * and a match that took too long ends the run with an error.
 *
 * @throws RangeError on a pattern that is too long, is no pattern, or nests unbounded quantifiers
 */
export function matches(pattern: RegExp | string, options: PatternOptions = {}): Feature<HasText> {
  const { maxLength = 4096, maxMilliseconds = 1000, whole = false } = options;
  const source = typeof pattern === "string" ? pattern : pattern.source;
  const shown = source.length > 60 ? `${source.slice(0, 57)}…` : source;
  if (source.length > 2000)
    throw new RangeError(`matches: the pattern has ${source.length} characters; at most 2000 are taken.`);
  if (hasNestedQuantifiers(source))
    throw new RangeError(
      `matches: /${shown}/ repeats a group that repeats something itself, which can take time exponential in the text's length; ` +
        "write it without, or give a function of your own.",
    );
  // Neither g nor y: they would make a match depend on the one before.
  const flags = (typeof pattern === "string" ? "u" : pattern.flags).replace(/[gy]/g, "");
  let expression: RegExp;
  try {
    expression = new RegExp(whole ? `^(?:${source})$` : source, flags);
  } catch (cause) {
    throw new RangeError(`matches: /${shown}/ is no regular expression: ${(cause as Error).message}`);
  }
  return feature(
    (outcome: HasText) => {
      const start = performance.now();
      const found = expression.test(textOf(outcome).slice(0, maxLength));
      const took = performance.now() - start;
      if (took > maxMilliseconds)
        throw new Error(
          `/${shown}/ took ${took.toFixed(0)} ms; make the pattern simpler or maxLength smaller.`,
        );
      return found;
    },
    { name: options.name ?? `/${shown}/`, key: (outcome) => textOf(outcome as HasText) },
  );
}
