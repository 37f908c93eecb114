import { evaluatePolicy, rewardSamples, type Sample, samplePolicy, scoreSamples, sentiment } from "@fdiv/cli";
import { divergence } from "@fdiv/divergences";
import { choiceOutcomes, meanTokenLikelihood } from "@fdiv/dpo";
import { expectedCalibrationError } from "@fdiv/metrics";
import { type CausalLm, disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { type Material, maxTokens, type Pair } from "./material.ts";

/** What a trained model is judged by; plain numbers. */
export type Judgement = Record<string, number>;

const tokensAtOnce = 8192;

/** One side of pairs as samples, to be scored. */
function side(model: CausalLm, pairs: readonly Pair[], of: "chosen" | "rejected"): Sample[] {
  const tokenizer = model.tokenizer!;
  return pairs.map((pair) => ({
    prompt: pair.prompt,
    completion: pair[of],
    promptIds: tokenizer.encode(pair.prompt, { addSpecial: true }),
    ids: tokenizer.encode(pair[of], { addSpecial: false }),
    logProb: 0,
  }));
}

/** Both calibration errors on the test pairs, and how often the implicit reward β·s(l) ranks them as they were labelled. */
function calibration(
  policy: CausalLm,
  reference: CausalLm,
  pairs: readonly Pair[],
  { name, beta }: { name: string; beta: number },
): Judgement {
  const { score } = divergence(name);
  const chosen = side(policy, pairs, "chosen");
  const rejected = side(policy, pairs, "rejected");
  const chosenLogProbs = scoreSamples(policy, chosen, tokensAtOnce);
  const rewardsOf = (samples: readonly Sample[], logProbs: readonly number[]): number[] => {
    const held = scoreSamples(reference, samples, tokensAtOnce);
    return logProbs.map((logProb, i) => beta * score(logProb - held[i]!));
  };
  const won = rewardsOf(chosen, chosenLogProbs);
  const lost = rewardsOf(rejected, scoreSamples(policy, rejected, tokensAtOnce));
  const margins = won.map((reward, i) => reward - lost[i]!);
  const { confidences, outcomes } = choiceOutcomes(margins);
  const lengths = chosen.map(({ ids }) => ids.length);
  return {
    accuracy: margins.filter((margin) => margin > 0).length / margins.length,
    "ECE Bradley–Terry": expectedCalibrationError(confidences, outcomes).ece,
    "ECE token likelihood": expectedCalibrationError(meanTokenLikelihood(chosenLogProbs, lengths), outcomes)
      .ece,
  };
}

/** Judges a model on the test prompts and pairs beside the reference. */
export async function judge(
  path: string,
  material: Material,
  held: { name: string; beta: number },
  seed: number,
): Promise<Judgement> {
  const policy = await loadCausalLm(path, { trainable: false });
  const reference = await loadCausalLm(material.model, { trainable: false });
  const sampling = { prompts: material.testPrompts, perPrompt: 8, maxTokens, temperature: 1, batch: 256 };
  const samples = await samplePolicy(policy, { ...sampling, seed: `judge ${seed}` });
  const others = await samplePolicy(reference, { ...sampling, seed: `reference ${seed}` });
  await rewardSamples(samples, sentiment);
  const { reward, klToReference, klFromReference, entropy, distinct, selfBleu } = evaluatePolicy(
    {
      policy: samples,
      policyUnderReference: scoreSamples(reference, samples, tokensAtOnce),
      reference: others,
      referenceUnderPolicy: scoreSamples(policy, others, tokensAtOnce),
    },
    { divergenceName: held.name, temperature: 1 },
  );
  const calibrated = calibration(policy, reference, material.testPairs, held);
  disposeModel(policy);
  disposeModel(reference);
  return {
    reward: reward!.value,
    "KL(π‖ref)": klToReference!.value,
    "KL(ref‖π)": klFromReference!.value,
    entropy: entropy.value,
    "distinct-1": distinct["1"]!,
    "distinct-2": distinct["2"]!,
    "self-BLEU-3": selfBleu["3"]!,
    ...calibrated,
  };
}
