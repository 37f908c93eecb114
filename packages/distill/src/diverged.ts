/** Gradients have not been finite for many steps. */
export class DivergedError extends Error {
  override name = "DivergedError";
}
