import { discreteSchedule, edm, type Parametrisation, type Prediction } from "./parametrisation.ts";

type Json = Record<string, unknown>;

/** The schedulers whose models are trained on ᾱ_t at discrete steps. */
const discrete = [
  "DDPMScheduler",
  "DDIMScheduler",
  "PNDMScheduler",
  "LMSDiscreteScheduler",
  "EulerDiscreteScheduler",
  "EulerAncestralDiscreteScheduler",
  "HeunDiscreteScheduler",
  "DPMSolverMultistepScheduler",
  "DPMSolverSinglestepScheduler",
  "UniPCMultistepScheduler",
  "DEISMultistepScheduler",
];
const ofEdm = ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"];

function numberOf(json: Json, field: string, fallback: number): number {
  const value = json[field] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new RangeError(`scheduler_config.json: ${field} is ${JSON.stringify(value)}, expected a number.`);
  return value;
}

const even = (from: number, to: number, steps: number): number[] =>
  Array.from({ length: steps }, (_, i) => from + ((to - from) * i) / Math.max(1, steps - 1));

/** β_t of a schedule's name, as diffusers makes them. */
function betas(json: Json): number[] {
  if (Array.isArray(json.trained_betas)) {
    if (json.trained_betas.length > 100_000 || !json.trained_betas.every((beta) => typeof beta === "number"))
      throw new RangeError("scheduler_config.json: trained_betas is no list of numbers.");
    return json.trained_betas as number[];
  }
  const steps = numberOf(json, "num_train_timesteps", 1000);
  if (!Number.isSafeInteger(steps) || steps < 2 || steps > 100_000)
    throw new RangeError(`scheduler_config.json: num_train_timesteps is ${steps}, expected 2 to 100000.`);
  const [start, end] = [numberOf(json, "beta_start", 0.0001), numberOf(json, "beta_end", 0.02)];
  switch (json.beta_schedule ?? "linear") {
    case "linear":
      return even(start, end, steps);
    case "scaled_linear":
      return even(Math.sqrt(start), Math.sqrt(end), steps).map((root) => root ** 2);
    case "squaredcos_cap_v2": {
      const bar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Array.from({ length: steps }, (_, i) =>
        Math.min(1 - bar((i + 1) / steps) / bar(i / steps), 0.999),
      );
    }
    case "sigmoid":
      return even(-6, 6, steps).map((x) => (end - start) / (1 + Math.exp(-x)) + start);
    default:
      throw new RangeError(
        `scheduler_config.json: there is no beta_schedule "${String(json.beta_schedule)}"; there are linear, scaled_linear, squaredcos_cap_v2 and sigmoid.`,
      );
  }
}

function predictionOf(json: Json, known: readonly string[]): string {
  const prediction = String(json.prediction_type ?? "epsilon");
  if (!known.includes(prediction))
    throw new RangeError(
      `scheduler_config.json: prediction_type is "${prediction}"; there are ${known.join(", ")}.`,
    );
  return prediction;
}

/**
 * What a scheduler_config.json of diffusers says about how its model was trained: the sampler itself is ours.
 *
 * @throws RangeError on a scheduler or setting that does not describe a denoiser
 */
export function parametrisationFromDiffusers(json: Json): Parametrisation {
  const name = String(json._class_name);
  if (ofEdm.includes(name)) {
    const prediction = predictionOf(json, ["epsilon", "v_prediction"]);
    return edm({
      sigmaData: numberOf(json, "sigma_data", 0.5),
      range: [numberOf(json, "sigma_min", 0.002), numberOf(json, "sigma_max", 80)],
      prediction: prediction as "epsilon",
      levelScale: numberOf(json, "level_scale", 1),
    });
  }
  if (name === "CMStochasticIterativeScheduler")
    throw new RangeError(
      'scheduler_config.json: CMStochasticIterativeScheduler is a consistency model\'s, which gives the end of a trajectory and not the mean of the data: no denoiser. A diffusion model of the same nets (OpenAI\'s edm_imagenet64_ema) takes { "_class_name": "EDMEulerScheduler", "level_scale": 1000 } there.',
    );
  if (!discrete.includes(name))
    throw new RangeError(
      `scheduler_config.json: ${name} can't be read; there are ${[...ofEdm, ...discrete].join(", ")}.`,
    );
  if (json.rescale_betas_zero_snr === true)
    throw new RangeError(
      "scheduler_config.json: rescale_betas_zero_snr makes the last noise level infinite; it can't be read.",
    );
  let alpha = 1;
  const cumulative = betas(json).map((beta) => {
    alpha *= 1 - beta;
    return alpha;
  });
  const prediction = predictionOf(json, ["epsilon", "v_prediction", "sample"]) as Prediction;
  return { ...discreteSchedule(cumulative, prediction), scheduler: json };
}
