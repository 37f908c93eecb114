/** A stop that the user asked for; everything is saved. */
export class Interrupted extends Error {
  override name = "Interrupted";
}

const systemAdvice: Record<string, string> = {
  ENOSPC: "The disk is full. Nothing that was saved before is lost; free some room and add --resume.",
  EACCES: "Permission was denied.",
  EROFS: "That place is read-only.",
  EMFILE: "Too many files are open; raise the limit (ulimit -n).",
};

/** What a person needs to read of an error: its message, and advice where the system only gives a code. */
export function explain(error: unknown): string {
  if (isAbort(error)) return "Stopped before anything was finished.";
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  const advice = code && Object.hasOwn(systemAdvice, code) ? `\n${systemAdvice[code]}` : "";
  // A slip of ours has a stack worth reporting; a clear message to the user doesn't need one.
  const slip = error.constructor === TypeError || error.constructor === ReferenceError;
  const details = process.env.FDIV_DEBUG || slip ? `\n${error.stack ?? ""}` : "";
  return `${error.message}${advice}${details}`;
}

/** What an aborted signal throws: a stop that the user asked for where there is nothing to save. */
const isAbort = (error: unknown): boolean => (error as { name?: unknown } | null)?.name === "AbortError";

/** 130 after an interruption, as shells expect; 1 otherwise. */
export function exitCodeOf(error: unknown): number {
  return error instanceof Interrupted || isAbort(error) ? 130 : 1;
}
