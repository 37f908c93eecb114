/** Share of the mass from which a plan is too far from its marginals for its cost to be the transport's. */
const tooLarge = 0.1;

/**
 * Says once when the rows of a loss's plans are off by more than a tenth of their mass, which more iterations or a larger λ mend.
 *
 * @returns what to call with each step's row
 */
export function rowErrorAlarm(warn: (message: string) => void): (row: object) => void {
  const told = new Set<string>();
  return (row) => {
    for (const [name, share] of Object.entries(row) as [string, unknown][]) {
      if (!name.endsWith("/row-error") || told.has(name)) continue;
      if (typeof share !== "number" || !(share > tooLarge)) continue;
      told.add(name);
      warn(
        `${name}: the plans' rows are off by ${(100 * share).toFixed(0)} % of their mass, so what the loss lowers is not yet the transport's cost; ` +
          "raise sinkhorn.iterations or sinkhorn.lambda, or set sinkhorn.tolerance. This is said once.",
      );
    }
  };
}
