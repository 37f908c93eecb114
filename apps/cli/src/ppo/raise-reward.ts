import { createHash } from "node:crypto";
import { join } from "node:path";
import { divergence } from "@fdiv/divergences";
import {
  type ActorCritic,
  adaptiveKlCoefficient,
  fixedKlCoefficient,
  flatPpoMetrics,
  type PpoOptions,
  type PpoRow,
  type PpoState,
  ppo,
} from "@fdiv/dpg";
import { adamW, type Optimizer } from "@fdiv/tensor-core";
import { schedule, type StepRow as TrainingRow } from "@fdiv/trainer";
import { openRun, type Run, writeDurably } from "@fdiv/trainer/node";
import type * as tf from "@tensorflow/tfjs-core";
import { drawSamples } from "../dpg/draw-samples.ts";
import { featureOf } from "../dpg/features.ts";
import { languagePolicy, type Prompt, type Text } from "../dpg/language-policy.ts";
import { openTexts } from "../dpg/open-policy.ts";
import { takeSteps } from "../dpg/take-steps.ts";
import { Interrupted } from "../failure.ts";
import { promptsOf } from "../runs/datasets.ts";
import { mebibytes } from "../runs/open-model.ts";
import { cutSamples, writeEvaluationSamples } from "../runs/sample-log.ts";
import type { Session } from "../session.ts";
import { evaluateReward } from "./evaluate-reward.ts";
import { languageActorCritic } from "./language-actor-critic.ts";
import type { PpoConfig } from "./ppo-schema.ts";

/** PPO from a configuration to a run directory; the whole flow on one page. */
export async function raiseReward(
  config: PpoConfig,
  session: Session,
  { resume = false, dryRun = false }: { resume?: boolean; dryRun?: boolean } = {},
): Promise<void> {
  // What is refused should be so before a model is loaded.
  const held = divergence(config.divergence);
  const reward = await featureOf(config.reward);
  const { prompts: given = [""], output, ...rest } = config;
  const prompts = typeof given === "string" ? await promptsOf(given) : given;
  const texts = await openTexts(config, session);
  const policy = languagePolicy(texts, config);
  const values = texts.valued({ trunk: config.value.trunk, seed: config.seed });
  const trained = languageActorCritic(values, policy);
  try {
    const contexts = prompts.map((text): Prompt => ({ text, ids: texts.promptIds(text) }));
    if (dryRun) {
      session.say(
        `would take ${config.steps} steps towards more ${reward.name}, held to ${config.model} by ${held.name}, into ${output}`,
      );
      return;
    }
    const rate = schedule({ kind: config.schedule, steps: config.steps, warmup: config.warmup });
    const optimizer = adamW({ weightDecay: config.weightDecay });
    const store = await openRun({
      directory: output,
      parameters: trained.parameters,
      optimizer,
      config,
      fingerprint: createHash("sha256")
        .update(JSON.stringify([rest, prompts]))
        .digest("hex"),
      resume,
      keep: config.keep,
      tell: session.warn,
    });
    try {
      const options: PpoOptions<Text, Prompt> = {
        ...learning(config),
        policy: trained,
        reference: policy.base,
        reward,
        divergence: held,
        contexts,
        optimizer,
        learningRate: (step) => config.learningRate * rate(step),
      };
      const run = ppo(options, resume ? await lastState(store, trained, optimizer) : undefined);
      await cutSamples(output, run.state().progress.step);
      const interrupted = await takeSteps(run, {
        ...config,
        label: `PPO ${held.name}`,
        store,
        session,
        figures: (row, seconds) => trainingRow(row, config, rate(row.step - 1), seconds),
        logSamples: (step) => drawSamples(step, policy, contexts, config),
      });
      if (interrupted !== undefined)
        throw new Interrupted(
          `Stopped after step ${interrupted} of ${config.steps}; everything is saved in ${output}. Add --resume to go on.`,
        );
      session.say(`peak of memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
      const { evaluation, samples } = await evaluateReward(texts, policy, reward, contexts, config);
      await writeEvaluationSamples(output, samples);
      await writeDurably(join(output, "evaluation.json"), `${JSON.stringify(evaluation, null, 2)}\n`);
      await values.save(join(output, "value"));
      await texts.save((name) => join(output, name), config.dtype);
    } catch (error) {
      await store.failure(error);
      throw error;
    } finally {
      optimizer.dispose();
      await store.close();
    }
  } finally {
    policy.base.dispose();
    values.dispose();
    texts.dispose();
  }
}

/** How the configuration has PPO learn. */
function learning(config: PpoConfig): Omit<PpoOptions<Text, Prompt>, "policy" | "reference" | "reward"> {
  const { penalty, value, minibatch, promptsPerStep, samplesPerPrompt } = config;
  const { coefficient, target, horizon } = penalty;
  return {
    steps: config.steps,
    penalty: { place: penalty.place, ...(penalty.per && { per: penalty.per }) },
    coefficient:
      target === undefined
        ? fixedKlCoefficient(coefficient)
        : adaptiveKlCoefficient({ initial: coefficient, target, horizon }),
    epochs: config.epochs,
    clip: config.clip,
    valueClip: value.clip,
    valueWeight: value.weight,
    gamma: config.gamma,
    lambda: config.lambda,
    whiten: config.whiten,
    gradientClip: config.gradientClip,
    chunk: config.chunk,
    seed: config.seed,
    ...(minibatch !== undefined && { minibatch }),
    ...(promptsPerStep !== undefined && { contextsPerStep: promptsPerStep }),
    ...(samplesPerPrompt !== undefined && { samplesPerContext: samplesPerPrompt }),
  };
}

/** The state of the last whole checkpoint, its tensors loaded in place. */
async function lastState(
  store: Run,
  { parameters }: ActorCritic<Text, Prompt>,
  optimizer: Optimizer,
): Promise<PpoState | undefined> {
  const saved = await store.resume();
  if (!saved) return undefined;
  const tensors = new Map<string, tf.Tensor>();
  for (const [name, variable] of parameters) tensors.set(`policy.${name}`, variable);
  for (const [name, moment] of optimizer.state().tensors) tensors.set(`optimizer.${name}`, moment);
  return { progress: saved.task as PpoState["progress"], tensors };
}

function trainingRow(row: PpoRow, config: PpoConfig, factor: number, seconds: number): TrainingRow {
  const { step, "gradient-norm": gradientNorm, ...figures } = flatPpoMetrics(row);
  return {
    ...figures,
    step: step!,
    epoch: step! / config.steps,
    loss: row.policyLoss + config.value.weight * row.valueLoss,
    learningRate: config.learningRate * factor,
    gradientNorm: gradientNorm!,
    tokensPerSecond: row.tokens / seconds,
    seconds,
  };
}
