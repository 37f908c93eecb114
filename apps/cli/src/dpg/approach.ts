import { createHash } from "node:crypto";
import { join } from "node:path";
import { divergence } from "@fdiv/divergences";
import {
  type ApproximateOptions,
  type ApproximateState,
  type Approximation,
  approximate,
  type ConstraintFit,
  checkZeros,
  type Feature,
  flatMetrics,
  type StepRow,
  type Target,
  target,
} from "@fdiv/dpg";
import { addLora, type CausalLm, disposeModel } from "@fdiv/models";
import { loadCausalLm, saveAdapter, saveCausalLm } from "@fdiv/models/node";
import { adamW, type Optimizer, random } from "@fdiv/tensor-core";
import { schedule, type StepRow as TrainingRow } from "@fdiv/trainer";
import { openRun, type Run, writeDurably } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import { Interrupted } from "../failure.ts";
import { promptsOf } from "../runs/datasets.ts";
import { promptTokens } from "../runs/evaluate-policy.ts";
import { hubProgress, mebibytes } from "../runs/open-model.ts";
import { cutSamples, logSamples } from "../runs/sample-log.ts";
import type { Session } from "../session.ts";
import type { DpgConfig } from "./dpg-schema.ts";
import { evaluateTarget } from "./evaluate-target.ts";
import { featureOf } from "./features.ts";
import { type LanguagePolicy, languagePolicy, type Prompt, type Text } from "./language-policy.ts";

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

function fitText({
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

/** The optimiser together with the proposal's copy of the policy, so that a checkpoint holds both. */
function withProposal(optimizer: Optimizer): {
  optimizer: Optimizer;
  proposal: Map<string, tf.Tensor>;
  show(tensors: ReadonlyMap<string, tf.Tensor>): void;
} {
  const prefix = "proposal.";
  let shown: ReadonlyMap<string, tf.Tensor> = new Map();
  const proposal = new Map<string, tf.Tensor>();
  return {
    proposal,
    show(tensors) {
      shown = new Map([...tensors].filter(([name]) => name.startsWith(prefix)));
    },
    optimizer: {
      step: (...step) => optimizer.step(...step),
      get iterations() {
        return optimizer.iterations;
      },
      state() {
        const { tensors, iteration } = optimizer.state();
        return { tensors: new Map([...tensors, ...shown]), iteration };
      },
      load({ tensors, iteration }) {
        const moments = new Map([...tensors].filter(([name]) => !name.startsWith(prefix)));
        for (const [name, tensor] of tensors)
          if (name.startsWith(prefix))
            proposal.set(
              name,
              tf.tidy(() => tf.add(tensor, 0)),
            );
        optimizer.load({ tensors: moments, iteration });
      },
      dispose: () => optimizer.dispose(),
    },
  };
}

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
  const model = await openPolicy(config, session);
  const policy = languagePolicy(model, { maxTokens: config.maxTokens, chunk: config.chunk });
  try {
    const contexts = prompts.map((text): Prompt => ({ text, ids: promptTokens(model.tokenizer!, text) }));
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
        config,
        store,
        session,
        policy,
        contexts,
        rate,
        show: optimizer.show,
      });
      if (interrupted !== undefined)
        throw new Interrupted(
          `Stopped after step ${interrupted} of ${config.steps}; everything is saved in ${output}. Add --resume to go on.`,
        );
      session.say(`peak of memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
      const evaluation = await evaluateTarget(made, policy, contexts, config);
      await writeDurably(join(output, "evaluation.json"), `${JSON.stringify(evaluation, null, 2)}\n`);
      if (model.lora) await saveAdapter(model, join(output, "adapter"));
      await saveCausalLm(model, join(output, "model"), { dtype: config.dtype });
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
    disposeModel(model);
  }
}

async function openPolicy(
  { model: path, tokenizer, lora, seed }: DpgConfig,
  session: Session,
): Promise<CausalLm> {
  const model = await loadCausalLm(path, {
    trainable: lora === undefined,
    hub: hubProgress(session),
    ...(tokenizer !== undefined && { tokenizer }),
  });
  if (!model.tokenizer) throw new ConfigError(`${path}: a tokenizer is due, since features are of texts.`);
  if (lora)
    addLora(model, {
      rank: lora.rank,
      seed,
      baseModel: path,
      ...(lora.targets && { targets: lora.targets }),
    });
  return model;
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

interface Steps {
  config: DpgConfig;
  store: Run;
  session: Session;
  policy: LanguagePolicy;
  contexts: readonly Prompt[];
  rate(step: number): number;
  show(tensors: ReadonlyMap<string, tf.Tensor>): void;
}

/** Takes the steps that are left; the step it was interrupted after, if it was. */
async function takeSteps(run: Approximation, steps: Steps): Promise<number | undefined> {
  const { config, store, session, rate } = steps;
  const shown = session.progress({ label: `f-DPG ${config.divergence}` });
  let step = run.state().progress.step;
  let saved = step;
  shown.onStart?.({ step, steps: config.steps, resumed: step > 0 });
  const save = async (): Promise<void> => {
    if (saved === step) return;
    const { progress, tensors } = run.state();
    steps.show(tensors);
    await store.checkpoint({ step, evaluationsWithoutGain: 0, evaluatedAt: -1, task: progress }, "regular");
    saved = step;
  };
  try {
    let started = performance.now();
    for await (const row of run) {
      step = row.step;
      const seconds = (performance.now() - started) / 1e3;
      const figures = trainingRow(row, config, rate(step - 1), seconds);
      await store.row(figures);
      shown.onStep?.(figures);
      if (step % config.samplesEvery === 0) await drawAndLog(step, steps);
      if (step % config.checkpointEvery === 0) await save();
      // One turn of the event loop, so that a signal is heard.
      await new Promise((resolve) => setImmediate(resolve));
      if (session.signal.aborted && step < config.steps) {
        await save();
        return step;
      }
      started = performance.now();
    }
    await save();
    return undefined;
  } finally {
    shown.onEnd?.(undefined);
  }
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

/** A few texts of the policy as it is, to be read. */
async function drawAndLog(step: number, { config, policy, contexts }: Steps): Promise<void> {
  const stream = random(config.seed).fork("samples").fork(step);
  const prompts = Array.from({ length: 4 }, (_, i) => contexts[(step + i) % contexts.length]!);
  const { outcomes } = await policy.sample(prompts, stream);
  await logSamples(
    config.output,
    outcomes.map(({ text }, i) => ({ step, prompt: prompts[i]!.text, completion: text })),
  );
}
