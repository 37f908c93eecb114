import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { divergence } from "@fdiv/divergences";
import { disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { writeDurably } from "@fdiv/trainer/node";
import { ConfigError, jsonSchema, readConfig } from "../config/config-file.ts";
import { type EvalConfig, evalSchema } from "../config/schemas.ts";
import { loadReward } from "../rewards/load-reward.ts";
import { preferenceDataset, promptsOf } from "../runs/datasets.ts";
import { evaluatePolicy, rewardSamples, samplePolicy, scoreSamples } from "../runs/evaluate-policy.ts";
import {
  judgePairs,
  likelihoodAccuracy,
  pairAccuracy,
  pairCalibration,
  pairMetrics,
} from "../runs/judge-pairs.ts";
import { hubProgress } from "../runs/open-model.ts";
import { referPairs } from "../runs/reference.ts";
import { writeEvaluationSamples } from "../runs/sample-log.ts";
import { type GlobalOptions, openSession, type Session } from "../session.ts";

/** `fdiv eval`. */
export async function evaluate(
  file: string | undefined,
  options: GlobalOptions & { set: string[]; schema?: boolean },
): Promise<void> {
  if (options.schema) {
    process.stdout.write(`${JSON.stringify(jsonSchema(evalSchema), null, 2)}\n`);
    return;
  }
  const config = await readConfig(evalSchema, file, options.set);
  divergence(config.divergence);
  if (!config.data && !config.prompts)
    throw new ConfigError("eval needs prompts to sample from, or data of pairs to rank, or both.");
  const session = await openSession(options);
  try {
    await mkdir(config.output, { recursive: true });
    const before = await evaluationBefore(config.output);
    const model = await loadCausalLm(config.model, {
      trainable: false,
      storage: config.storage,
      hub: hubProgress(session),
    });
    const pairs = config.data ? await evaluatePairs(config, model, session) : {};
    const { evaluation, samples } = config.prompts
      ? await evaluateSamples(config, model, session)
      : { evaluation: {}, samples: [] };
    const all = { ...before, ...pairs, ...evaluation };
    await writeDurably(join(config.output, "evaluation.json"), `${JSON.stringify(all, null, 2)}\n`);
    if (samples.length > 0) await writeEvaluationSamples(config.output, samples);
    process.stdout.write(`${JSON.stringify({ ...pairs, ...evaluation }, null, 2)}\n`);
    disposeModel(model);
  } finally {
    session.close();
  }
}

/** What an earlier evaluation, or the end of training, wrote there. */
async function evaluationBefore(folder: string): Promise<object> {
  const file = join(folder, "evaluation.json");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}";
    throw error;
  });
  try {
    return JSON.parse(text) as object;
  } catch {
    throw new ConfigError(
      `${file} is malformed, and would be written over; move it away, or choose another output.`,
    );
  }
}

async function evaluatePairs(config: EvalConfig, model: Parameters<typeof judgePairs>[0], session: Session) {
  const { microBatchTokens, storage } = config;
  const settings = { microBatchTokens, storage, sharePrompt: true, lengthNormalised: false };
  const data = config.data!;
  const dataset = await preferenceDataset({ model: config.model, data, seed: config.seed }, model, session);
  session.say(dataset.text);
  const { pairs } = await referPairs(
    dataset.train,
    model,
    { ...settings, ...(config.reference && { reference: config.reference }) },
    session,
  );
  const options = { divergence: divergence(config.divergence), beta: config.beta };
  const judgement = judgePairs(model, pairs, options, settings);
  const likelihood = { accuracy: { after: likelihoodAccuracy(judgement), pairs: pairs.length } };
  if (!config.reference) return likelihood;
  return {
    accuracy: { ...likelihood.accuracy, reward: pairAccuracy(judgement) },
    calibration: pairCalibration(judgement),
    heldOut: pairMetrics(judgement),
  };
}

async function evaluateSamples(
  config: EvalConfig,
  model: Parameters<typeof judgePairs>[0],
  session: Session,
) {
  const prompts = typeof config.prompts === "string" ? await promptsOf(config.prompts) : config.prompts!;
  const reward = config.reward === undefined ? undefined : await loadReward(config.reward);
  const { maxTokens, temperature, seed, microBatchTokens, chat } = config;
  const perPrompt = Math.max(1, Math.round(config.samples / prompts.length));
  const sampling = { prompts, perPrompt, maxTokens, temperature, chat, signal: session.signal };
  session.say(`sampling ${prompts.length * perPrompt} completions`);
  const samples = await samplePolicy(model, { ...sampling, seed });
  if (reward) await rewardSamples(samples, reward);
  const scores = { policy: samples };
  const settings = { divergenceName: config.divergence, temperature };
  if (!config.reference) return { evaluation: evaluatePolicy(scores, settings), samples };
  if (temperature !== 1)
    session.warn(
      `temperature ${temperature}: the samples are of another law than the model's, so they tell no divergence; take 1 for that`,
    );
  const reference = await loadCausalLm(config.reference, {
    trainable: false,
    storage: config.storage,
    hub: hubProgress(session),
  });
  const referenceSamples = await samplePolicy(reference, { ...sampling, seed: `reference ${seed}` });
  const cross = {
    ...scores,
    policyUnderReference: scoreSamples(reference, samples, microBatchTokens),
    reference: referenceSamples,
    referenceUnderPolicy: scoreSamples(model, referenceSamples, microBatchTokens),
  };
  disposeModel(reference);
  return { evaluation: evaluatePolicy(cross, settings), samples };
}
