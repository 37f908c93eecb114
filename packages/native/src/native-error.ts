/** Why an installation can't be made, found or loaded; the message says what to do. */
export class NativeError extends Error {
  override name = "NativeError";
}

/** The last lines that a command wrote, for an error message. */
export const lastLines = (text: string, count = 12): string =>
  text.trim().split(/\r?\n/).slice(-count).join("\n");
