import type { ActorCritic } from "@fdiv/dpg";
import { type CausalLm, tokenLogProbsAndValues, type ValueHead } from "@fdiv/models";
import type { LanguagePolicy } from "../dpg/language-policy.ts";
import { type Prompt, rowsOf, type Text } from "../dpg/text-model.ts";

/** A language policy together with a value head: what PPO trains. Parameters of the head are under `value.…`. */
export function languageActorCritic(
  model: CausalLm,
  head: ValueHead,
  policy: LanguagePolicy,
): ActorCritic<Text, Prompt> {
  const ofHead = Array.from(head.parameters, ([name, variable]) => [`value.${name}`, variable] as const);
  return {
    parameters: new Map([...policy.parameters, ...ofHead]),
    sample: policy.sample,
    tokens(outcomes, prompts) {
      const rows = rowsOf(outcomes, prompts);
      return { ...tokenLogProbsAndValues(model, head, rows), sequences: rows.scored.sequence };
    },
  };
}
