import { z } from "zod";
import { feature } from "../config/feature-schema.ts";
import { drawing, policyModel, policyRun } from "../config/policy-run.ts";
import { count } from "../config/schemas.ts";

export const ppoSchema = z
  .strictObject({
    $schema: z.string().optional(),
    ...policyModel,
    reward: feature.describe("What is to be raised: a feature of the text that was written."),
    ...drawing,
    divergence: z
      .string()
      .default("reverse-kl")
      .describe("What holds the policy to the reference; any of the family."),
    penalty: z
      .strictObject({
        place: z
          .enum(["reward", "loss"])
          .default("reward")
          .describe("Subtracted from the reward, or added to the loss."),
        per: z
          .enum(["token", "sequence"])
          .optional()
          .describe("Of a token's log-ratio or of the text's; token for reverse-kl, else sequence."),
        coefficient: z
          .number()
          .positive()
          .default(0.05)
          .describe("β of max E r − β·D; where target is set, what it starts from."),
        target: z
          .number()
          .positive()
          .optional()
          .describe("Steer the coefficient to this divergence, in nats."),
        horizon: count.default(10_000).describe("Texts over which the steering takes effect."),
      })
      .prefault({}),
    value: z
      .strictObject({
        trunk: z
          .enum(["shared", "separate"])
          .default("shared")
          .describe("Read the policy's hidden states, or those of a copy that is trained beside it."),
        weight: z.number().min(0).default(0.1).describe("What the value's loss counts beside the policy's."),
        clip: z
          .number()
          .positive()
          .nullable()
          .default(null)
          .describe("Largest change of a value in a step that counts, in units of reward; null: any."),
      })
      .prefault({})
      .describe("The value head."),
    epochs: count.default(4).describe("How often a step's texts are gone through."),
    minibatch: count.optional().describe("Texts an optimiser step; a quarter of a step's when absent."),
    clip: z.number().gt(0).lt(1).default(0.2).describe("ε of the clipped ratio."),
    gamma: z.number().min(0).max(1).default(1),
    lambda: z.number().min(0).max(1).default(0.95).describe("λ of generalised advantage estimation."),
    whiten: z.boolean().default(true).describe("Bring a step's advantages to mean 0 and variance 1."),
    ...policyRun,
    steps: policyRun.steps.default(200).describe("Rounds of drawing texts and learning from them."),
    learningRate: policyRun.learningRate.default(5e-5),
    checkpointEvery: policyRun.checkpointEvery.default(20),
    samplesEvery: policyRun.samplesEvery.default(20),
  })
  .describe(
    "fdiv ppo: raise a reward by proximal policy optimisation, held to the reference by any f-divergence",
  );

export type PpoConfig = z.infer<typeof ppoSchema>;
