import { ppoSchema } from "../ppo/ppo-schema.ts";
import { raiseReward } from "../ppo/raise-reward.ts";
import { type RunOptions, runConfigured, withModel } from "./configured-run.ts";

/** `fdiv ppo`. */
export const optimiseReward = (path: string | undefined, options: RunOptions): Promise<void> =>
  runConfigured({ schema: ppoSchema, run: raiseReward, done: withModel() }, path, options);
