import type { ActorCritic } from "@fdiv/dpg";
import type { LanguagePolicy } from "../dpg/language-policy.ts";
import type { Prompt, Text, TextValues } from "../dpg/text-model.ts";

/** A language policy together with a value head: what PPO trains. Parameters of the head are under `value.…`. */
export function languageActorCritic(values: TextValues, policy: LanguagePolicy): ActorCritic<Text, Prompt> {
  const ofHead = Array.from(values.parameters, ([name, variable]) => [`value.${name}`, variable] as const);
  return {
    parameters: new Map([...policy.parameters, ...ofHead]),
    sample: policy.sample,
    tokens: values.tokens,
  };
}
