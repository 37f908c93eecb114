import type { Figures } from "../figures.ts";

/** How a policy is brought to the reward: by f-DPO, or by PPO with a divergence in the reward or in the loss. */
export interface Method {
  method: "f-DPO" | "PPO";
  divergence: string;
  place?: "reward" | "loss";
}

/** A method at one β: means over seeds, and seed by seed. */
export interface MethodRow extends Method {
  beta: number;
  figures: Figures;
  /** What each seed says, for what is interpolated. */
  bySeed: Record<string, number>[];
}

/** A method by name, as tables and legends have it. */
export const nameOf = ({ method, divergence, place }: Method): string =>
  place === undefined ? `${method} ${divergence}` : `${method} ${divergence} in the ${place}`;
