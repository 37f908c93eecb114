/** What a loss is made of. */
export interface LossChoice {
  loss: string | Record<string, number>;
  alpha: number;
  beta: number;
}

/** The weights that a loss's short name stands for. */
export function weightsOf({ loss, alpha, beta }: LossChoice): Record<string, number> {
  if (typeof loss !== "string") return loss;
  if (loss === "ce") return { ce: 1 };
  if (loss === "uld" || loss === "multi-level") return { ce: 1, [loss]: beta };
  const isTransport = loss === "sinkhorn" || loss === "sample-wise";
  return { ce: 1 - alpha, [isTransport ? "forward-kl" : loss]: alpha, ...(isTransport && { [loss]: beta }) };
}
