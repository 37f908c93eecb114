/** Why an installation can't be made, found or loaded; the message says what to do. */
export class NativeError extends Error {
  override name = "NativeError";
}

/** The last lines that a command wrote, for an error message. */
export const lastLines = (text: string, count = 12): string =>
  text.trim().split(/\r?\n/).slice(-count).join("\n");

const systemErrors: Readonly<Record<string, string>> = {
  ENOSPC: "no space is left",
  EDQUOT: "the quota is used up",
  EACCES: "it may not be written",
  EPERM: "it may not be written",
  ENOTDIR: "it lies below a file",
  EROFS: "it is on a read-only file system",
};

/** The system's refusals in words, other errors as they are. */
export function explainSystemError(error: unknown, folder: string): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  const why = error instanceof NativeError || code === undefined ? undefined : systemErrors[code];
  if (why === undefined) return error;
  return new NativeError(
    `${path ?? folder}: ${why}. Choose another place with --cache <folder> (or FDIV_CACHE).`,
    {
      cause: error,
    },
  );
}
