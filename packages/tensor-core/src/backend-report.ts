/** What a started backend tells of itself. */
export interface BackendReport<Name extends string = string> {
  backend: Name;
  /** What computes: the package and its version, threads, device. */
  detail: string;
  threads: number;
  /** Better backends that were passed over, and why. */
  passedOver: { backend: Name; reason: string }[];
}

/** A backend that was asked for by name and can't start; the message says what to do. */
export class BackendError extends Error {
  override name = "BackendError";
}

/** An error as one line of a list. */
export const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error)).split(
    "\n",
  )[0]!;
