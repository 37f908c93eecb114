import { type ConstraintFit, type Feature, type Target, target } from "@fdiv/dpg";
import type { DpgConfig } from "./dpg-schema.ts";
import { featureOf } from "./features.ts";
import type { LanguagePolicy, Prompt, Text } from "./language-policy.ts";

/** A target with what it was made of. */
export interface MadeTarget {
  target: Target<Text, Prompt>;
  /** Every feature that the target speaks of, to be reported. */
  features: Feature<Text, Prompt>[];
  fit?: ConstraintFit;
}

/** The target that a configuration describes: the base times, tilted, and at last constrained. */
export async function makeTarget(
  config: DpgConfig["target"],
  base: LanguagePolicy["base"],
  contexts: readonly Prompt[],
  seed: number,
): Promise<MadeTarget> {
  const times = await Promise.all(config.times.map(featureOf));
  const reward = config.tilt && (await featureOf(config.tilt.reward));
  const constrained = await Promise.all(config.constrain.map(({ feature }) => featureOf(feature)));
  let made = target(base);
  for (const one of times) made = made.times(one);
  if (reward) made = made.tilt(reward, { beta: config.tilt!.beta });
  const features = [...times, ...(reward ? [reward] : []), ...constrained];
  if (constrained.length === 0) return { target: made, features };
  const constraints = constrained.map((feature, i) => ({ feature, moment: config.constrain[i]!.moment }));
  const fitted = await made.constrain(constraints, {
    contexts,
    samples: config.samples,
    seed,
    ...(config.maxSamples !== undefined && { maxSamples: config.maxSamples }),
  });
  return { target: fitted, features, fit: fitted.fit };
}

/** A fit to be read. */
export function fitText({
  names,
  coefficients,
  standardErrors,
  moments,
  baseMoments,
  effectiveSamples,
  samples,
  warnings,
}: ConstraintFit): string {
  const lines = names.map(
    (name, k) =>
      `  ${name}: ${baseMoments[k]!.toPrecision(3)} under the base, ${moments[k]!.toPrecision(4)} as fitted, λ = ${coefficients[k]!.toPrecision(4)} ± ${standardErrors[k]!.toPrecision(2)}`,
  );
  return [
    `moments fitted on ${samples} samples (${effectiveSamples.toFixed(0)} effective)`,
    ...lines,
    ...warnings.map((warning) => `  ! ${warning}`),
  ].join("\n");
}
