import { join } from "node:path";
import { datasetFingerprint } from "@fdiv/data";
import { divergence } from "@fdiv/divergences";
import {
  checkAdmissible,
  type DisplacementState,
  displacementAlarm,
  preferenceLoss,
  preferenceMetrics,
  sftLoss,
} from "@fdiv/dpo";
import { disposeModel, trainableParameters } from "@fdiv/models";
import { shuffledBatches } from "@fdiv/trainer";
import { writeDurably } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { DpoConfig } from "../config/schemas.ts";
import { loadReward } from "../rewards/load-reward.ts";
import type { Session } from "../session.ts";
import { checkHeldOut, preferenceDataset } from "./datasets.ts";
import {
  judgePairs,
  likelihoodAccuracy,
  likelihoodChange,
  pairAccuracy,
  pairCalibration,
  pairMetrics,
} from "./judge-pairs.ts";
import { observeSamples, planSamples } from "./observe-samples.ts";
import { openModel } from "./open-model.ts";
import { type PairBatch, pairBatch, pairLength, pairLengths, pairLogProbs } from "./pair-batch.ts";
import { referPairs } from "./reference.ts";
import { planText, runTraining, saveModel } from "./training-run.ts";

/** f-DPO from a configuration to a run directory; the whole flow on one page. */
export async function align(
  config: DpoConfig,
  session: Session,
  { resume = false, dryRun = false }: { resume?: boolean; dryRun?: boolean } = {},
): Promise<void> {
  const chosenDivergence = divergence(config.divergence);
  checkAdmissible(chosenDivergence);
  const { beta, loss, labelSmoothing, sharePrompt, lengthNormalised, sftWeight } = config;
  const lossOptions = { divergence: chosenDivergence, beta, loss, labelSmoothing };
  // Combinations that are refused should be so before a model is loaded.
  tf.tidy(() => {
    const pair = { chosen: tf.zeros([1]) as tf.Tensor1D, rejected: tf.zeros([1]) as tf.Tensor1D };
    preferenceLoss({ policy: pair, reference: pair }, lossOptions);
  });

  const loadsReference = config.samples !== false && (!config.lora || config.reference !== undefined);
  const model = await openModel(config, session, { loadsReference });
  try {
    const dataset = await preferenceDataset(config, model, session);
    session.say(dataset.text);
    checkHeldOut(config, dataset.held.length);
    const { pairs, fingerprint } = await referPairs(
      [...dataset.train, ...dataset.held],
      model,
      config,
      session,
    );
    const train = pairs.slice(0, dataset.train.length);
    const held = pairs.slice(dataset.train.length);
    const batches = shuffledBatches({
      rows: train,
      batchSize: config.batchSize,
      seed: config.seed,
      lengthOf: (pair) => pairLength(pair, sharePrompt),
      microBatchLength: config.microBatchTokens,
      collate: (group) => pairBatch(group, sharePrompt),
    });
    const watched = config.samples && {
      every: config.samples.every ?? config.evaluateEvery ?? batches.stepsPerEpoch,
      plan: await planSamples(config.samples, held.length > 0 ? held : train, model),
      run: {
        config,
        divergence: chosenDivergence,
        fingerprint,
        ...(config.samples.reward !== undefined && { reward: await loadReward(config.samples.reward) }),
      },
    };
    if (dryRun) {
      session.say(planText(config, batches.stepsPerEpoch, "pairs"));
      return;
    }

    const judge = () => judgePairs(model, held, lossOptions, config);
    const before = held.length > 0 ? judge() : undefined;
    const alarm = displacementAlarm();
    await runTraining<PairBatch>(
      {
        config,
        parameters: trainableParameters(model),
        save: () => saveModel(model, config),
        batches,
        dataFingerprint: `${datasetFingerprint(pairs.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected })))}-${fingerprint}`,
        dataReport: dataset.text,
        label: `f-DPO ${chosenDivergence.name}`,
        resume,
        task: {
          loss(batch) {
            const logProbs = pairLogProbs(model, batch);
            const lengths = pairLengths(batch.pairs);
            const result = preferenceLoss(logProbs, { ...lossOptions, ...(lengthNormalised && { lengths }) });
            const metrics = preferenceMetrics(result, logProbs);
            if (sftWeight === 0) return { loss: tf.sum(result.loss), metrics };
            const sft = sftLoss(logProbs.policy.chosen, lengths.chosen);
            return {
              loss: tf.sum(tf.add(result.loss, tf.mul(sftWeight, sft))),
              metrics: { ...metrics, sft: tf.sum(sft) },
            };
          },
          examples: ({ pairs: group }) => group.length,
          tokens: ({ rows }) => rows.rows * rows.length,
          describe: ({ pairs: group }) => group.map(({ source, reference }) => ({ source, reference })),
          ...(held.length > 0 && {
            evaluate: async () => pairMetrics(judge()),
            best: { metric: "loss", mode: "min" as const },
          }),
          ...(watched && {
            observe: (step: number) => observeSamples(step, model, watched.plan, watched.run, session),
            observeEvery: watched.every,
          }),
          taskState: {
            save: () => alarm.state(),
            load: (state) => alarm.load(state as DisplacementState),
          },
          callbacks: {
            onEvaluation(_step, metrics) {
              const raisedBefore = alarm.raised;
              if (alarm.note(metrics["logps/chosen"]!) && !raisedBefore)
                session.warn(
                  "likelihood displacement: the chosen answers themselves are becoming less probable; consider sftWeight, a larger beta, or forward-kl",
                );
            },
          },
        },
      },
      session,
    );
    if (before) await writeEvaluation(config, before, judge());
  } finally {
    disposeModel(model);
  }
}

/** Held-out accuracy before and after by the same measure, the reward's own, and calibration, for the report. */
async function writeEvaluation(
  { output }: DpoConfig,
  before: ReturnType<typeof judgePairs>,
  after: ReturnType<typeof judgePairs>,
): Promise<void> {
  const evaluation = {
    accuracy: {
      before: likelihoodAccuracy(before),
      after: likelihoodAccuracy(after),
      change: likelihoodChange(before, after),
      reward: pairAccuracy(after),
      pairs: after.margins.length,
    },
    calibration: pairCalibration(after),
    heldOut: pairMetrics(after),
  };
  await writeDurably(join(output, "evaluation.json"), `${JSON.stringify(evaluation, null, 2)}\n`);
}
