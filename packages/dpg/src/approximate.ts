import { type Divergence, forwardKl } from "@fdiv/divergences";
import { adamW, clipByGlobalNormAsync, type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { checkZeros } from "./admissibility.ts";
import { type ApproximateOptions, settle } from "./approximate-options.ts";
import { addToRunning, type RunningMean, runningValue } from "./baseline.ts";
import { contextsOf } from "./context-order.ts";
import { type EstimatorBatch, estimator, logTargets } from "./estimator.ts";
import { asFeature } from "./feature.ts";
import { checkSampledLogProbs } from "./law.ts";
import { estimateMeasures, estimateToTarget, estimateUnderPolicy } from "./measures.ts";
import {
  addDraws,
  knownPartition,
  NoSupportError,
  type PartitionEstimate,
  type PartitionSums,
  partitionOf,
} from "./partition.ts";
import {
  type Distribution,
  drawDistribution,
  drawProposal,
  type Proposal,
  type Snapshot,
  scoreOutcomes,
} from "./policy.ts";
import { policyGradient } from "./policy-gradient.ts";
import { assignParameters, withPrefix } from "./state-tensors.ts";
import type { StepRow } from "./step-row.ts";
import type { Target } from "./target.ts";

/** What a run must remember to go on exactly, beside its options. */
export interface ApproximateState {
  /** Plain JSON. */
  progress: {
    /** Steps done. */
    step: number;
    /** Every random number is a function of the seed and the step. */
    seed: number | string;
    proposal: "given" | "snapshot";
    /** By context; null where none was drawn. */
    partition: (PartitionSums | null)[];
    baseline: RunningMean;
    /** Σ of D(π, p) − D(q, p) since the proposal was last judged, and of how many steps. */
    adaptive: { gap: number; steps: number };
    optimizerIteration: number;
  };
  /** `policy.…`, `optimizer.…` and `proposal.…`: the live tensors, not copies. */
  tensors: Map<string, tf.Tensor>;
}

/** A run: iterate over it for its steps. */
export interface Approximation extends AsyncIterableIterator<StepRow> {
  /** As it stands between two steps. */
  state(): ApproximateState;
  /** Frees the optimiser's moments, unless it was given, and the proposal's copy; the policy stays. */
  dispose(): void;
}

/**
 * Trains a policy towards a target by following the estimated ∇D_f(π‖p) (f-DPG, arXiv 2302.08215, algorithm 1); yields a row of figures a
 * step.
 *
 * log Z of each context is a running mean over past draws, so that the gradient of a step is unbiased given it. Every random number is a
 * function of the seed and the step: a run continued from its state goes on as if it had never stopped, bit for bit on one backend.
 *
 * @param state of an earlier run with the same options, to continue
 * @throws InfiniteDivergenceError when the target's zeros make the divergence infinite; LawMismatchError when draws do not follow the law that
 *   is scored; NoSupportError when no sample of any context of a step has mass; RangeError on options
 */
export function approximate<X, C = undefined>(
  target: Target<X, C>,
  options: ApproximateOptions<X, C>,
  state?: ApproximateState,
): Approximation {
  const settings = settle(options, target.base, forwardKl);
  const { policy, divergence, steps } = options;
  const { contexts, contextsPerStep, samplesPerContext, smoothing, adaptive } = settings;
  checkZeros(divergence, target.hardZeros, smoothing);
  const features = (options.features ?? []).map((like) => asFeature<X, C>(like));
  const root = random(settings.seed).fork("approximate");
  const optimizer = options.optimizer ?? adamW();
  let step = 0;
  let running: RunningMean = { sum: 0, weight: 0 };
  let gap = { gap: 0, steps: 0 };
  let snapshot: Snapshot<X, C> | undefined;
  const sums: (PartitionSums | null)[] = contexts.map(() => null);
  if (state) restore(state);

  function restore({ progress, tensors }: ApproximateState): void {
    if (progress.seed !== settings.seed || progress.partition.length !== contexts.length)
      throw new RangeError(
        `approximate: the state is of a run with seed ${progress.seed} and ${progress.partition.length} contexts, ` +
          `not of one with ${settings.seed} and ${contexts.length}.`,
      );
    ({ step, baseline: running, adaptive: gap } = structuredClone(progress));
    progress.partition.forEach((sum, c) => {
      sums[c] = sum && { ...sum };
    });
    assignParameters("approximate", policy.parameters, withPrefix("policy.", tensors));
    optimizer.load({
      tensors: withPrefix("optimizer.", tensors),
      iteration: progress.optimizerIteration,
    });
    if (progress.proposal === "snapshot") {
      if (!policy.snapshot) throw new RangeError("approximate: the state needs a policy with snapshot().");
      snapshot = policy.snapshot(withPrefix("proposal.", tensors));
    }
  }

  const onPolicy = settings.proposal === "policy";
  const draw = (asked: readonly C[], stream: Random) => {
    if (snapshot) return drawDistribution("the proposal", snapshot, asked, stream);
    if (settings.proposal === "policy") return drawDistribution("the policy", policy, asked, stream);
    if (settings.proposal === "base")
      return drawDistribution("the base", target.base as Distribution<X, C>, asked, stream);
    return drawProposal("the proposal", settings.proposal as Proposal<X, C>, asked, stream);
  };

  const partition = (context: number): PartitionEstimate =>
    settings.partition.logZ
      ? knownPartition(settings.partition.logZ[context]!)
      : partitionOf(sums[context] ?? addDraws(undefined, []));

  /** Draws of a context that is met for the first time until its Z is not 0. */
  async function meet(context: number, stream: Random): Promise<void> {
    const { samples, maxSamples, logZ } = settings.partition;
    if (logZ || sums[context]) return;
    let drawn = 0;
    let found: PartitionSums | undefined;
    while (drawn < maxSamples && (!found || found.logSum === null)) {
      const count = Math.min(drawn === 0 ? samples : drawn, maxSamples - drawn);
      const asked = new Array<C>(count).fill(contexts[context]!);
      const { outcomes, logProbs } = await draw(asked, stream.fork(`meet ${context} ${drawn}`));
      const { logScores } = await target.score(outcomes, asked);
      found = addDraws(
        found,
        logScores.map((logScore, i) => logScore - logProbs[i]!),
      );
      drawn += count;
    }
    sums[context] = found ?? null;
  }

  async function takeStep(): Promise<StepRow> {
    const stream = root.fork(step);
    const chosen = contextsOf(step, contextsPerStep, contexts.length, root);
    for (const context of chosen) await meet(context, stream);
    const alive = chosen.filter((context) => Number.isFinite(partition(context).logZ));
    if (alive.length === 0)
      throw new NoSupportError(
        `approximate: none of ${partition(chosen[0]!).samples} samples of any of the step's contexts has mass under the target: its scorers ` +
          "reject all that the proposal draws. Draw more (partition.maxSamples), or from a proposal that meets the target.",
      );
    const members = alive.flatMap((context) => new Array<number>(samplesPerContext).fill(context));
    const asked = members.map((context) => contexts[context]!);
    const { outcomes, logProbs: logProposal } = await draw(asked, stream.fork("samples"));
    const { logScores, baseLogProbs: logBase } = await target.score(outcomes, asked);
    const logPolicy = onPolicy ? logProposal : await scoreOutcomes("the policy", policy, outcomes, asked);

    const places = new Map([...new Set(alive)].map((context, place) => [context, place]));
    const groups = members.map((context) => places.get(context)!);
    const batch: EstimatorBatch = {
      logPolicy,
      logScores,
      logPartition: [...places.keys()].map((context) => partition(context).logZ),
      ...(!onPolicy && { logProposal }),
      ...(logBase && { logBase }),
      groups,
    };
    const baseline = settings.baseline === "running-mean" ? runningValue(running) : settings.baseline;
    const estimate = estimator(batch, { divergence, smoothing, baseline });
    const { gradients, logProbs } = await policyGradient(
      policy,
      outcomes,
      asked,
      estimate.coefficients,
      settings.chunk,
    );
    let gradientNorm: number;
    try {
      if (onPolicy) checkSampledLogProbs("the policy", logProposal, logProbs, settings.lawTolerance);
      const clipping = await clipByGlobalNormAsync(gradients, settings.gradientClip);
      gradientNorm = clipping.norm;
      const { learningRate = 1e-3 } = options;
      optimizer.step(policy.parameters, gradients, {
        learningRate: typeof learningRate === "number" ? learningRate : learningRate(step),
        gradientScale: clipping.scale,
      });
    } finally {
      tf.dispose([...gradients.values()]);
    }
    running = addToRunning(running, estimate.meanScore);
    if (!settings.partition.logZ)
      for (const [context, place] of places)
        sums[context] = addDraws(
          sums[context] ?? undefined,
          logScores.map((x, i) => x - logProposal[i]!).filter((_, i) => groups[i] === place),
          settings.partition.decay,
        );

    const partitions = [...places.keys()].map(partition);
    const measured = {
      logPolicy,
      logScores,
      partition: partitions,
      groups,
      ...(!onPolicy && { logProposal }),
      ...(logBase && { logBase }),
    };
    const smoothed =
      smoothing === 0
        ? measured
        : {
            ...measured,
            logScores: logTargets(
              { ...batch, logPartition: partitions.map(({ logZ }) => logZ) },
              smoothing,
            ).map((x, i) => x + partitions[groups[i]!]!.logZ),
          };
    const row: StepRow = {
      step: step + 1,
      samples: outcomes.length,
      divergence: estimateToTarget(divergence, smoothed),
      ...estimateMeasures(measured),
      partition: partitions,
      pseudoReward: -estimate.meanScore,
      weights: estimate.weights,
      accepted: logScores.filter((x) => x > Number.NEGATIVE_INFINITY).length / outcomes.length,
      moments: {},
      gradientNorm,
      saturated: estimate.saturated,
      skippedContexts: chosen.length - alive.length,
      proposalChanged: false,
    };
    for (const one of features)
      row.moments[one.name] = estimateUnderPolicy(await one.values(outcomes, asked), measured);
    if (adaptive) row.proposalChanged = judgeProposal(adaptive, measured, logProposal);
    step++;
    return row;
  }

  /** q ← π once π has been nearer to the target than q, over some steps. */
  function judgeProposal(
    { divergence: by, every }: { divergence: Divergence; every: number },
    measured: Parameters<typeof estimateToTarget>[1],
    logProposal: Float64Array,
  ): boolean {
    const policyDistance = estimateToTarget(by, measured).value;
    const proposalDistance = estimateToTarget(by, { ...measured, logPolicy: logProposal }).value;
    const difference = policyDistance === proposalDistance ? 0 : policyDistance - proposalDistance;
    gap = { gap: gap.gap + difference, steps: gap.steps + 1 };
    if (gap.steps < every) return false;
    const better = gap.gap < 0;
    gap = { gap: 0, steps: 0 };
    if (!better) return false;
    snapshot?.dispose();
    snapshot = policy.snapshot!();
    return true;
  }

  async function* run(): AsyncGenerator<StepRow, void, undefined> {
    while (step < steps) yield await takeStep();
  }
  const rows = run();
  return {
    next: () => rows.next(),
    return: () => rows.return(),
    throw: (error: unknown) => rows.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    state() {
      const { tensors: moments, iteration } = optimizer.state();
      const tensors = new Map<string, tf.Tensor>();
      for (const [name, tensor] of policy.parameters) tensors.set(`policy.${name}`, tensor);
      for (const [name, tensor] of moments) tensors.set(`optimizer.${name}`, tensor);
      for (const [name, tensor] of snapshot?.parameters ?? []) tensors.set(`proposal.${name}`, tensor);
      return {
        progress: structuredClone({
          step,
          seed: settings.seed,
          proposal: snapshot ? ("snapshot" as const) : ("given" as const),
          partition: sums,
          baseline: running,
          adaptive: gap,
          optimizerIteration: iteration,
        }),
        tensors,
      };
    },
    dispose() {
      if (!options.optimizer) optimizer.dispose();
      snapshot?.dispose();
      snapshot = undefined;
    },
  };
}
