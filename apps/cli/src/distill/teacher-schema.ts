import { z } from "zod";
import { ema, noise, optimizer } from "./learning-schema.ts";

const count = z.int().positive();
const positive = z.number().positive();

const net = z
  .strictObject({
    kind: z
      .enum(["auto", "unet", "mlp"])
      .default("auto")
      .describe("auto: a U-Net for images, an MLP for points; small images do with an MLP too."),
    blockChannels: z.array(count).min(1).optional().describe("Of a U-Net's levels; [32, 64, 64]."),
    layersPerBlock: count.optional().describe("Of a U-Net; 1."),
    attentionLevels: z
      .int()
      .min(0)
      .optional()
      .describe("Levels of a U-Net that attend, from the lowest resolution up; 1."),
    normGroups: count.optional().describe("Of a U-Net; 8."),
    headSize: count.optional().describe("Of a U-Net; 32."),
    hidden: count.optional().describe("Of an MLP; 128."),
    layers: count.optional().describe("Of an MLP; 3."),
  })
  .prefault({});

const training = z.strictObject({
  net,
  sigmaData: positive.optional().describe("The data's root mean square, measured when absent."),
  steps: count.default(4000),
  batchSize: count.default(64),
  noise: noise.default({ kind: "log-normal" }),
  optimizer: optimizer(1e-3),
  ema: ema.default({ kind: "power", width: 0.1 }),
  dropLabels: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      "Of a conditional teacher: share of labels left out in training, so that guidance has something to move away from; 0.1.",
    ),
});

/** What is distilled. */
export const teacher = z
  .strictObject({
    model: z
      .string()
      .optional()
      .describe(
        "A diffusers UNet2DModel folder, the teacher/model of another run, or with data.captions a StableDiffusionPipeline folder; none is trained then.",
      ),
    exact: z
      .boolean()
      .default(false)
      .describe("Use the mixture's exact denoiser; the net only starts student and fake denoiser."),
    train: training.optional().describe("How a teacher is trained where no model is given."),
  })
  .refine(
    ({ model, train }) => model === undefined || train === undefined,
    "train is for a teacher that is trained; a model is given.",
  )
  .prefault({})
  .describe("The diffusion model to distil.");

export type TeacherConfig = z.infer<typeof teacher>;
export type TrainingConfig = z.infer<typeof training>;
export type NetConfig = z.infer<typeof net>;

/** How a teacher is trained, defaults and all but its net's. */
export const trainingOf = ({ teacher: { train } }: { teacher: TeacherConfig }): TrainingConfig =>
  train ?? training.parse({});

/** What only the one kind of net has. */
export const netKeys = {
  unet: ["blockChannels", "layersPerBlock", "attentionLevels", "normGroups", "headSize"],
  mlp: ["hidden", "layers"],
} as const;

/** The kind of net that is trained for images, or for points. */
export const netKindOf = ({ kind }: Pick<NetConfig, "kind">, isImages: boolean): "unet" | "mlp" =>
  kind === "auto" ? (isImages ? "unet" : "mlp") : kind;

/** A net of its kind, defaults and all. */
export const netOf = (config: NetConfig, isImages: boolean) =>
  netKindOf(config, isImages) === "mlp"
    ? { kind: "mlp" as const, hidden: config.hidden ?? 128, layers: config.layers ?? 3 }
    : {
        kind: "unet" as const,
        blockChannels: config.blockChannels ?? [32, 64, 64],
        layersPerBlock: config.layersPerBlock ?? 1,
        attentionLevels: config.attentionLevels ?? 1,
        normGroups: config.normGroups ?? 8,
        headSize: config.headSize ?? 32,
      };
