import { random } from "@fdiv/tensor-core";
import { logSamples } from "../runs/sample-log.ts";
import type { LanguagePolicy, Prompt } from "./language-policy.ts";

/** Logs a few texts of the policy as it is after a step, to be read. */
export async function drawSamples(
  step: number,
  policy: Pick<LanguagePolicy, "sample">,
  contexts: readonly Prompt[],
  { output, seed }: { output: string; seed: number },
): Promise<void> {
  const stream = random(seed).fork("samples").fork(step);
  const prompts = Array.from({ length: 4 }, (_, i) => contexts[(step + i) % contexts.length]!);
  const { outcomes } = await policy.sample(prompts, stream);
  await logSamples(
    output,
    outcomes.map(({ text }, i) => ({ step, prompt: prompts[i]!.text, completion: text })),
  );
}
