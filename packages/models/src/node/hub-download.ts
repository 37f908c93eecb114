import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { exists, type HubFile } from "./hub-cache.ts";
import { type HubConnection, HubError, request, withRetries } from "./hub-request.ts";

export interface Download {
  url: string;
  /** What errors call it. */
  what: string;
  /** The repository's page, below the endpoint. */
  page: string;
  file: HubFile;
  /** Where the content goes once it is whole. */
  target: string;
  onBytes(received: number): void;
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Fetches what a partial file still lacks. */
async function fetchRest(connection: HubConnection, download: Download, part: string): Promise<void> {
  const { file, url, what, page } = download;
  let have = await sizeOf(part);
  if (file.size !== undefined && have > file.size) have = 0;
  if (have > 0 && have === file.size) return;
  const response = await request(connection, url, {
    what,
    page,
    headers: { "accept-encoding": "identity", ...(have > 0 && { range: `bytes=${have}-` }) },
  });
  if (response.status === 416) {
    await response.body?.cancel();
    await rm(part, { force: true });
    throw new Error("the server has no more of the file than is here already");
  }
  const resumes =
    response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`) === true;
  if (response.status === 206 && !resumes) {
    await response.body?.cancel();
    await rm(part, { force: true });
    throw new Error("the server continued at another place than was asked");
  }
  const handle = await open(part, resumes ? "a" : "w");
  try {
    let received = resumes ? have : 0;
    for await (const chunk of response.body ?? []) {
      received += chunk.byteLength;
      if (file.size !== undefined && received > file.size)
        throw new HubError(`${what}: the server sends more than the ${file.size} bytes it announced`);
      await handle.appendFile(chunk);
      download.onBytes(received);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const received = await sizeOf(part);
  if (file.size !== undefined && received !== file.size)
    throw new Error(`the connection ended after ${received} of ${file.size} bytes`);
}

/** Whether a file's content has the hash the hub lists; true where it lists none. */
async function hashAgrees(path: string, { sha256, gitHash }: HubFile): Promise<boolean> {
  if (!sha256 && !gitHash) return true;
  const hash = createHash(sha256 ? "sha256" : "sha1");
  if (!sha256) hash.update(`blob ${await sizeOf(path)}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex") === (sha256 ?? gitHash);
}

/**
 * Downloads one file: continues what an earlier attempt left, checks size and hash, and only then gives it its name.
 *
 * @throws HubError where the content is not what the hub lists, or the hub refuses.
 */
export async function downloadFile(connection: HubConnection, download: Download): Promise<void> {
  const { target, what, file } = download;
  if (await exists(target)) return;
  await mkdir(dirname(target), { recursive: true });
  const part = `${target}.part`;
  // A second round starts from nothing: what an earlier run left may be the part that is wrong.
  for (let round = 1; ; round++) {
    await withRetries(connection, what, () => fetchRest(connection, download, part));
    if (await hashAgrees(part, file)) break;
    await rm(part, { force: true });
    if (round === 2)
      throw new HubError(
        `${what}: the downloaded content does not have the checksum that the hub lists (${file.sha256 ?? file.gitHash}); nothing was kept`,
      );
  }
  await rename(part, target);
}
