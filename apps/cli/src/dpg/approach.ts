import { createHash } from "node:crypto";
import { join } from "node:path";
import { divergence } from "@fdiv/divergences";
import {
  type ApproximateOptions,
  type ApproximateState,
  approximate,
  checkZeros,
  flatMetrics,
  type StepRow,
} from "@fdiv/dpg";
import { adamW } from "@fdiv/tensor-core";
import { schedule, type StepRow as TrainingRow } from "@fdiv/trainer";
import { openRun, type Run, writeDurably } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import { Interrupted } from "../failure.ts";
import { promptsOf } from "../runs/datasets.ts";
import { mebibytes } from "../runs/open-model.ts";
import { cutSamples } from "../runs/sample-log.ts";
import type { Session } from "../session.ts";
import type { DpgConfig } from "./dpg-schema.ts";
import { drawSamples } from "./draw-samples.ts";
import { evaluateTarget } from "./evaluate-target.ts";
import { type LanguagePolicy, languagePolicy, type Prompt, type Text } from "./language-policy.ts";
import { fitText, makeTarget } from "./make-target.ts";
import { openTexts } from "./open-policy.ts";
import { takeSteps } from "./take-steps.ts";
import { withProposal } from "./with-proposal.ts";

/** f-DPG from a configuration to a run directory; the whole flow on one page. */
export async function approach(
  config: DpgConfig,
  session: Session,
  { resume = false, dryRun = false }: { resume?: boolean; dryRun?: boolean } = {},
): Promise<void> {
  const trained = divergence(config.divergence);
  // What is refused should be so before a model is loaded.
  checkZeros(trained, config.target.times.length > 0, config.smoothing);
  const { prompts: given = [""] } = config;
  const prompts = typeof given === "string" ? await promptsOf(given) : given;
  const model = await openTexts(config, session);
  const policy = languagePolicy(model, { maxTokens: config.maxTokens, chunk: config.chunk });
  try {
    const contexts = prompts.map((text): Prompt => ({ text, ids: model.promptIds(text) }));
    const made = await makeTarget(config.target, policy.base, contexts, config.seed);
    if (made.fit) session.say(fitText(made.fit));
    if (dryRun) {
      session.say(
        `would take ${config.steps} steps towards the target under ${trained.name}, into ${config.output}`,
      );
      return;
    }
    const rate = schedule({ kind: config.schedule, steps: config.steps, warmup: config.warmup });
    const optimizer = withProposal(adamW({ weightDecay: config.weightDecay }));
    const { output, ...rest } = config;
    const store = await openRun({
      directory: output,
      parameters: policy.parameters,
      optimizer: optimizer.optimizer,
      config,
      ...(made.fit && { texts: { "fit.json": `${JSON.stringify(made.fit, null, 2)}\n` } }),
      fingerprint: createHash("sha256")
        .update(JSON.stringify([rest, prompts]))
        .digest("hex"),
      resume,
      keep: config.keep,
      tell: session.warn,
    });
    try {
      const options: ApproximateOptions<Text, Prompt> = {
        policy,
        divergence: trained,
        steps: config.steps,
        contexts,
        baseline: config.baseline,
        smoothing: config.smoothing,
        proposal: config.proposal === "policy" ? "policy" : "base",
        adaptive: config.proposal === "adaptive",
        optimizer: optimizer.optimizer,
        learningRate: (step) => config.learningRate * rate(step),
        gradientClip: config.gradientClip,
        chunk: config.chunk,
        partition: {
          samples: config.partition.samples,
          decay: config.partition.decay,
          ...(config.partition.maxSamples !== undefined && { maxSamples: config.partition.maxSamples }),
        },
        features: made.features,
        seed: config.seed,
        ...(config.promptsPerStep !== undefined && { contextsPerStep: config.promptsPerStep }),
        ...(config.samplesPerPrompt !== undefined && { samplesPerContext: config.samplesPerPrompt }),
      };
      const run = approximate(made.target, options, await lastState(store, resume, policy, optimizer));
      tf.dispose([...optimizer.proposal.values()]);
      await cutSamples(output, run.state().progress.step);
      const interrupted = await takeSteps(run, {
        ...config,
        label: `f-DPG ${config.divergence}`,
        store,
        session,
        figures: (row, seconds) => trainingRow(row, config, rate(row.step - 1), seconds),
        logSamples: (step) => drawSamples(step, policy, contexts, config),
        show: optimizer.show,
      });
      if (interrupted !== undefined)
        throw new Interrupted(
          `Stopped after step ${interrupted} of ${config.steps}; everything is saved in ${output}. Add --resume to go on.`,
        );
      session.say(`peak of memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
      const evaluation = await evaluateTarget(made, policy, contexts, config);
      await writeDurably(join(output, "evaluation.json"), `${JSON.stringify(evaluation, null, 2)}\n`);
      await model.save((name) => join(output, name), config.dtype);
      run.dispose();
    } catch (error) {
      await store.failure(error);
      throw error;
    } finally {
      optimizer.optimizer.dispose();
      await store.close();
    }
  } finally {
    policy.base.dispose();
    model.dispose();
  }
}

/** The state of the last whole checkpoint, its tensors loaded in place. */
async function lastState(
  store: Run,
  resume: boolean,
  policy: LanguagePolicy,
  { optimizer, proposal }: ReturnType<typeof withProposal>,
): Promise<ApproximateState | undefined> {
  const saved = resume ? await store.resume() : undefined;
  if (!saved) return undefined;
  const tensors = new Map<string, tf.Tensor>(proposal);
  for (const [name, variable] of policy.parameters) tensors.set(`policy.${name}`, variable);
  for (const [name, moment] of optimizer.state().tensors) tensors.set(`optimizer.${name}`, moment);
  return { progress: saved.task as ApproximateState["progress"], tensors };
}

function trainingRow(row: StepRow, config: DpgConfig, factor: number, seconds: number): TrainingRow {
  const { step, ...figures } = flatMetrics(row);
  return {
    ...figures,
    step: step!,
    epoch: step! / config.steps,
    loss: row.divergence.value,
    learningRate: config.learningRate * factor,
    gradientNorm: row.gradientNorm,
    tokensPerSecond: (row.samples * config.maxTokens) / seconds,
    seconds,
  };
}
