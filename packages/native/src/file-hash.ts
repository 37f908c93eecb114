import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

async function digest(
  algorithm: "sha256" | "sha512",
  encoding: "hex" | "base64",
  path: string,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal }))
    hash.update(chunk as Buffer);
  return hash.digest(encoding);
}

/** SHA-256 of a file in hexadecimal, read in pieces. */
export const sha256OfFile = (path: string, signal?: AbortSignal): Promise<string> =>
  digest("sha256", "hex", path, signal);

/** A file's integrity as npm writes it: `sha512-` and base64. */
export const integrityOfFile = async (path: string, signal?: AbortSignal): Promise<string> =>
  `sha512-${await digest("sha512", "base64", path, signal)}`;
