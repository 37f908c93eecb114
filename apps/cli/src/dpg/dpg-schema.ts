import { z } from "zod";
import { feature } from "../config/feature-schema.ts";
import { drawing, policyModel, policyRun } from "../config/policy-run.ts";
import { count } from "../config/schemas.ts";

export const dpgSchema = z
  .strictObject({
    $schema: z.string().optional(),
    ...policyModel,
    target: z
      .strictObject({
        times: z
          .array(feature)
          .default([])
          .describe("Features that must hold: the base is multiplied by each (0 or 1, or any number ≥ 0)."),
        tilt: z
          .strictObject({ reward: feature, beta: z.number().positive().default(1) })
          .optional()
          .describe("RLHF's target: the base times exp(reward/beta)."),
        constrain: z
          .array(z.strictObject({ feature, moment: z.number() }))
          .default([])
          .describe("Means that features shall have under the target; fitted by samples of the base."),
        samples: count
          .default(2048)
          .describe("Samples of the base, a prompt, that moments are fitted on at first."),
        maxSamples: count.optional().describe("At most so many; 16 times as many when absent."),
      })
      .refine(
        ({ times, tilt, constrain }) => times.length + constrain.length > 0 || tilt !== undefined,
        "without times, tilt or constrain the target is the base itself.",
      ),
    ...drawing,
    divergence: z
      .string()
      .default("jensen-shannon")
      .describe("forward-kl is DPG, reverse-kl RL with a KL penalty."),
    smoothing: z
      .number()
      .min(0)
      .max(0.999)
      .default(0)
      .describe("ε of (1 − ε)·p + ε·base, where the target's zeros make the divergence infinite."),
    baseline: z.enum(["none", "running-mean", "leave-one-out"]).default("leave-one-out"),
    proposal: z
      .enum(["policy", "base", "adaptive"])
      .default("policy")
      .describe("What is drawn from; adaptive: the base at first, then the best policy so far (forward KL)."),
    partition: z
      .strictObject({
        samples: count.default(256),
        maxSamples: count.optional(),
        decay: z.number().gt(0).max(1).default(0.99),
      })
      .prefault({})
      .describe(
        "How Z is estimated: draws of a prompt that is new, and what earlier draws count a step later.",
      ),
    ...policyRun,
    steps: policyRun.steps.default(500),
    learningRate: policyRun.learningRate.default(1e-4),
    checkpointEvery: policyRun.checkpointEvery.default(50),
    samplesEvery: policyRun.samplesEvery.default(50),
  })
  .describe("fdiv dpg: approximate a target distribution under any f-divergence");

export type DpgConfig = z.infer<typeof dpgSchema>;
