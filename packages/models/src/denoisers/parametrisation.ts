import * as tf from "@tensorflow/tfjs-core";

/** A raw network F(input, level, condition) as it was trained. */
export type RawNetwork = (input: tf.Tensor, level: tf.Tensor1D, condition?: tf.Tensor) => tf.Tensor;

/** How a raw network becomes a denoiser D(x; σ): D = skip·x + out·F(in·x, level). */
export interface Parametrisation {
  /** Each [batch] from σ [batch]. */
  coefficients(sigma: tf.Tensor1D): { skip: tf.Tensor; out: tf.Tensor; in: tf.Tensor; level: tf.Tensor1D };
  /** Noise levels that the network knows. */
  readonly range: readonly [min: number, max: number];
  /** σ of each step that the network was trained at, rising, where they are discrete. */
  readonly levels?: readonly number[];
  /** The scheduler_config.json of diffusers that says the same, where there is one. */
  readonly scheduler?: Readonly<Record<string, unknown>>;
}

/** What `edm` predicts: F of EDM's table 1, or the v of EDM schedulers, whose sign of c_out is turned. */
export type EdmPrediction = "epsilon" | "v_prediction";

/**
 * EDM's preconditioning (Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1).
 *
 * @param options.levelScale what c_noise = ln(σ)/4 is multiplied by; 1000 in nets that OpenAI trained as EDM's, default 1
 */
export function edm({
  sigmaData = 0.5,
  range = [0.002, 80] as readonly [number, number],
  prediction = "epsilon" as EdmPrediction,
  levelScale = 1,
} = {}): Parametrisation {
  for (const [name, value] of Object.entries({ sigmaData, levelScale }))
    if (!(value > 0)) throw new RangeError(`edm: ${name} is ${value}, expected a positive number.`);
  return {
    range,
    scheduler: {
      _class_name: "EDMEulerScheduler",
      // No setting of diffusers: there c_noise has no scale.
      ...(levelScale !== 1 && { level_scale: levelScale }),
      prediction_type: prediction,
      rho: 7,
      sigma_data: sigmaData,
      sigma_max: range[1],
      sigma_min: range[0],
    },
    coefficients(sigma) {
      const total = tf.add(tf.square(sigma), sigmaData ** 2);
      const out = tf.mul(tf.mul(sigma, sigmaData), tf.rsqrt(total));
      return {
        skip: tf.div(sigmaData ** 2, total),
        out: prediction === "v_prediction" ? tf.neg(out) : out,
        in: tf.rsqrt(total),
        level: tf.mul(0.25 * levelScale, tf.log(sigma)) as tf.Tensor1D,
      };
    },
  };
}

/** What a network of a discrete schedule predicts. */
export type Prediction = "epsilon" | "v_prediction" | "sample";

/**
 * A variance-preserving network trained at discrete steps, x_t = √ᾱ_t·x₀ + √(1 − ᾱ_t)·ε, at x = x_t/√ᾱ_t: σ = √(1/ᾱ − 1), in = 1/√(1 + σ²); ε: D = x − σF;
 * v: D = x/(1 + σ²) − σ/√(1 + σ²)·F; sample: D = F. Between steps t is linear in ln σ.
 *
 * @param cumulativeAlphas ᾱ_t, falling
 * @throws RangeError when they do not fall within (0, 1)
 */
export function discreteSchedule(
  cumulativeAlphas: ArrayLike<number>,
  prediction: Prediction,
): Parametrisation {
  const logs = Array.from(cumulativeAlphas, (alpha) => 0.5 * Math.log(1 / alpha - 1));
  const steps = logs.length;
  for (let t = 0; t < steps; t++)
    if (!Number.isFinite(logs[t]!) || (t > 0 && logs[t]! <= logs[t - 1]!))
      throw new RangeError(
        `discreteSchedule: step ${t} has ᾱ = ${cumulativeAlphas[t]}; they must fall within (0, 1), so that each step has a finite noise level of its own.`,
      );
  if (steps < 2) throw new RangeError(`discreteSchedule: ${steps} steps; expected two or more.`);
  return {
    range: [Math.exp(logs[0]!), Math.exp(logs[steps - 1]!)],
    levels: logs.map(Math.exp),
    coefficients(sigma) {
      const total = tf.add(tf.square(sigma), 1);
      const level = stepOf(sigma, logs);
      const inward = tf.rsqrt(total);
      if (prediction === "epsilon")
        return { skip: tf.onesLike(sigma), out: tf.neg(sigma), in: inward, level };
      if (prediction === "sample")
        return { skip: tf.zerosLike(sigma), out: tf.onesLike(sigma), in: inward, level };
      return { skip: tf.div(1, total), out: tf.neg(tf.mul(sigma, inward)), in: inward, level };
    },
  };
}

/** The fractional step whose ln σ is given, by linear interpolation: Σᵢ clamp((ln σ − lᵢ)/(lᵢ₊₁ − lᵢ), 0, 1). */
function stepOf(sigma: tf.Tensor1D, logs: readonly number[]): tf.Tensor1D {
  const from = tf.tensor2d([logs.slice(0, -1)]);
  const width = tf.tensor2d([logs.slice(1).map((l, i) => l - logs[i]!)]);
  const passed = tf.div(tf.sub(tf.reshape(tf.log(sigma), [-1, 1]), from), width);
  return tf.sum(tf.clipByValue(passed, 0, 1), 1);
}

/** D(x; σ) of a raw network. */
export function denoiseWith(
  network: RawNetwork,
  parametrisation: Parametrisation,
): (x: tf.Tensor, sigma: tf.Tensor1D, condition?: tf.Tensor) => tf.Tensor {
  return (x, sigma, condition) => {
    const found = parametrisation.coefficients(sigma);
    const at = (values: tf.Tensor) => tf.reshape(values, [-1, ...new Array<number>(x.rank - 1).fill(1)]);
    const output = network(tf.mul(x, at(found.in)), found.level, condition);
    return tf.add(tf.mul(x, at(found.skip)), tf.mul(output, at(found.out)));
  };
}

/** What a network's features see of (x, σ): the input and level that its denoiser would be given. */
export function featuresWith(
  features: (...given: Parameters<RawNetwork>) => tf.Tensor[],
  parametrisation: Parametrisation,
): (x: tf.Tensor, sigma: tf.Tensor1D, condition?: tf.Tensor) => tf.Tensor[] {
  return (x, sigma, condition) => {
    let found: tf.Tensor[] = [];
    denoiseWith((input, level, given) => {
      found = features(input, level, given);
      return input;
    }, parametrisation)(x, sigma, condition);
    return found;
  };
}
