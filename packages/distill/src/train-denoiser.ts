import { type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainableDenoiser } from "./denoiser.ts";
import { DivergedError } from "./diverged.ts";
import { edmLoss } from "./edm.ts";
import { type Ema, type EmaOptions, ema } from "./ema.ts";
import { gradientsOf, type LearnerOptions, learner } from "./learner.ts";
import { logNormalNoise, type NoiseDistribution } from "./noise-distribution.ts";
import { addNoise } from "./noise-level.ts";
import { type Snapshot, saveTensors, tensorsUnder } from "./snapshot.ts";

/** A batch of data; its tensors are freed after use. */
export interface Batch {
  /** [batch, ...] */
  x: tf.Tensor;
  condition?: tf.Tensor;
}

/** Draws a batch with the given random numbers only, so that a run can be continued exactly. */
export type DataSource = (random: Random, count: number) => Batch;

export interface TrainDenoiserOptions {
  denoiser: TrainableDenoiser;
  data: DataSource;
  steps: number;
  /** Default 64. */
  batchSize?: number;
  /** Default logNormalNoise(), EDM's. */
  noise?: NoiseDistribution;
  sigmaData?: number;
  optimizer?: LearnerOptions;
  ema?: EmaOptions;
  seed?: number | string;
  /** Consecutive steps without a finite gradient after which DivergedError is thrown; default 20. */
  patience?: number;
}

export interface TrainDenoiserRow {
  /** Counted from 0. */
  iteration: number;
  loss: number;
  gradientNorm: number;
  skipped: boolean;
}

/** A training under way: iterate to advance it; between rows its state can be saved. */
export interface DenoiserTraining extends AsyncIterable<TrainDenoiserRow> {
  readonly iteration: number;
  readonly ema: Ema | undefined;
  save(): Promise<Snapshot>;
  load(snapshot: Snapshot): void;
  dispose(): void;
}

/**
 * Trains a denoiser by EDM's loss E[λ(σ)·‖D(x₀ + σε; σ) − x₀‖²] with ln σ ~ N(−1.2, 1.2²) (Karras et al. 2022, https://arxiv.org/abs/2206.00364).
 *
 * Every iteration's random numbers are a function of the seed and its number, so a saved and loaded training goes on exactly.
 *
 * @throws RangeError when steps or batch size is no positive integer; while iterating, DivergedError
 */
export function trainDenoiser(options: TrainDenoiserOptions): DenoiserTraining {
  const {
    denoiser,
    data,
    steps,
    batchSize = 64,
    noise = logNormalNoise(),
    seed = 0,
    patience = 20,
  } = options;
  for (const [name, value] of Object.entries({ steps, batchSize }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`trainDenoiser: ${name} is ${value}, expected a positive integer.`);
  const net = learner("denoiser", denoiser.parameters, { learningRate: 1e-3, ...options.optimizer });
  const average = options.ema && ema(options.ema);
  const source = random(seed);
  let iteration = 0;
  let skippedInARow = 0;
  const sigmaData = options.sigmaData === undefined ? {} : { sigmaData: options.sigmaData };

  async function step(): Promise<TrainDenoiserRow> {
    const draws = source.fork(iteration);
    const batch = data(draws.fork("data"), batchSize);
    const sigmas = noise.draw(draws.fork("sigma"), batchSize);
    const { value, gradients } = gradientsOf(
      () => {
        const sigma = tf.tensor1d(sigmas);
        const epsilon = tf.tensor(draws.fork("noise").normal(batch.x.size), batch.x.shape);
        const denoised = denoiser.denoise(addNoise(batch.x, sigma, epsilon), sigma, batch.condition);
        return tf.mean(edmLoss(denoised, batch.x, sigma, sigmaData)) as tf.Scalar;
      },
      { denoiser: denoiser.parameters },
    );
    const { norm, skipped } = await net.step(gradients, iteration);
    if (!skipped) average?.update(denoiser.parameters);
    const [loss] = await value.data();
    tf.dispose([value, ...gradients.values(), batch.x]);
    batch.condition?.dispose();
    skippedInARow = skipped ? skippedInARow + 1 : 0;
    if (skippedInARow >= patience)
      throw new DivergedError(
        `trainDenoiser: the last ${patience} gradients were not finite, up to iteration ${iteration}. Go on from an earlier snapshot with a lower learning rate.`,
      );
    return { iteration: iteration++, loss: loss!, gradientNorm: norm, skipped };
  }

  return {
    async *[Symbol.asyncIterator]() {
      while (iteration < steps) yield await step();
    },
    get iteration() {
      return iteration;
    },
    ema: average,
    async save() {
      const snapshot: Snapshot = { tensors: new Map(), json: { iteration, seed, skippedInARow } };
      await net.save(snapshot);
      if (average) await saveTensors(snapshot, "ema.", average.parameters);
      snapshot.json.emaUpdates = average?.updates ?? 0;
      return snapshot;
    },
    load(snapshot) {
      if (snapshot.json.seed !== seed)
        throw new Error(
          `load: the snapshot's seed is ${snapshot.json.seed}, this run's ${seed}; it would not go on as it began.`,
        );
      net.load(snapshot);
      if (average) {
        const tensors = tensorsUnder(snapshot, "ema.");
        average.load({ tensors, updates: Number(snapshot.json.emaUpdates) });
        for (const tensor of tensors.values()) tensor.dispose();
      }
      iteration = Number(snapshot.json.iteration);
      skippedInARow = Number(snapshot.json.skippedInARow ?? 0);
    },
    dispose() {
      net.dispose();
      average?.dispose();
    },
  };
}
