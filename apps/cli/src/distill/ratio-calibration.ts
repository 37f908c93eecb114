import { addNoise, type Discriminator, type NoiseDistribution } from "@fdiv/distill";
import { expectedCalibrationError } from "@fdiv/metrics";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DistillData, Examples } from "./distill-data.ts";
import { inPieces } from "./in-pieces.ts";

/** How far σ(logit) is from the share of real examples, for a third of the noise levels. */
export interface RatioCalibration {
  name: string;
  ece: number;
  bins: ReturnType<typeof expectedCalibrationError>["bins"];
}

/** The discriminator's mean logits of examples noised at given levels. */
function logitsOf(
  discriminator: Discriminator,
  examples: Examples,
  sigmas: Float32Array,
  data: DistillData,
  stream: string,
): Float32Array {
  const noise = random(stream);
  const logits = (x: tf.Tensor, from: number) => {
    const sigma = tf.tensor1d(sigmas.subarray(from, from + x.shape[0]!));
    const noised = addNoise(x, sigma, tf.tensor(noise.fork(from).normal(x.size), x.shape));
    const condition = examples.labels && data.condition(examples.labels.subarray(from, from + x.shape[0]!));
    return tf.mean(discriminator.logits(noised, sigma, condition), 1);
  };
  return inPieces(examples, data.shape, logits, data.piece);
}

/**
 * Whether the learned ratio can be believed: among real and generated examples noised alike, the share of real ones where the discriminator says p/(p + q), for low, middle and high
 * noise.
 *
 * @param options.conditional whether the discriminator sees the examples' labels
 */
export function ratioCalibration(
  discriminator: Discriminator,
  { real, generated }: { real: Examples; generated: Examples },
  noise: NoiseDistribution,
  data: DistillData,
  { seed, conditional }: { seed: string; conditional: boolean },
): RatioCalibration[] {
  const count = Math.min(real.count, generated.count);
  const sigmas = noise.draw(random(seed), count);
  const seen = (examples: Examples): Examples => ({
    values: examples.values,
    count,
    labels: conditional ? examples.labels : undefined,
  });
  const told = [
    logitsOf(discriminator, seen(real), sigmas, data, `${seed} real`),
    logitsOf(discriminator, seen(generated), sigmas, data, `${seed} generated`),
  ] as const;
  const order = Array.from(sigmas.keys()).sort((a, b) => sigmas[a]! - sigmas[b]!);
  const third = Math.ceil(count / 3);
  return ["low", "middle", "high"].flatMap((level, part) => {
    const places = order.slice(part * third, (part + 1) * third);
    if (places.length === 0) return [];
    const confidences = told.flatMap((logits) => places.map((i) => 1 / (1 + Math.exp(-logits[i]!))));
    const outcomes = [1, 0].flatMap((truth) => places.map(() => truth));
    const [low, high] = [sigmas[places[0]!]!, sigmas[places.at(-1)!]!];
    const name = `${level} noise, σ ${low.toPrecision(2)} to ${high.toPrecision(2)}`;
    return [{ name, ...expectedCalibrationError(confidences, outcomes) }];
  });
}
