import { join } from "node:path";
import {
  blobPath,
  cacheFolder,
  exists,
  type HubFile,
  type HubSnapshot,
  linkBlob,
  readListing,
  snapshotFolder,
  writeListing,
} from "./hub-cache.ts";
import { downloadFile } from "./hub-download.ts";
import { type HubReference, isSafePath } from "./hub-reference.ts";
import { type HubConnection, HubError, request, withRetries } from "./hub-request.ts";

export interface HubProgress {
  file: string;
  received: number;
  total?: number;
}

export interface HubOptions {
  kind: "model" | "dataset";
  /** `owner/name` */
  repo: string;
  /** A branch, tag or commit; default `main`. */
  revision?: string;
  /** Which of the repository's files to get; default all. */
  files?: (paths: string[]) => string[];
  /** Default FDIV_CACHE, or the user's cache folder. */
  cache?: string;
  /** Default HF_ENDPOINT, or https://huggingface.co. */
  endpoint?: string;
  /** Default HF_TOKEN. */
  token?: string;
  /** Only what is in the cache; default whether FDIV_OFFLINE or HF_HUB_OFFLINE is 1. */
  offline?: boolean;
  onProgress?: (progress: HubProgress) => void;
  /** How often what may pass is tried; default 5. */
  attempts?: number;
  /** Milliseconds before the second attempt, doubling each time; default 500. */
  backoff?: number;
  signal?: AbortSignal;
}

export interface HubDownload {
  /** Holds the files under their names in the repository. */
  folder: string;
  files: string[];
  commit: string;
}

const commitHash = /^[0-9a-f]{40}$/;
const encodePath = (path: string) => path.split("/").map(encodeURIComponent).join("/");

/** Reads the hub's listing, believing nothing that would name a file outside its folder. */
function parseListing(json: unknown, what: string): HubSnapshot {
  const { sha, siblings } = (json ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !commitHash.test(sha) || !Array.isArray(siblings))
    throw new HubError(`${what}: the hub's listing is not understood; is the endpoint right?`);
  const hex = (value: unknown, length: number) =>
    typeof value === "string" && value.length === length && /^[0-9a-f]+$/.test(value) ? value : undefined;
  const files = siblings.map((sibling): HubFile => {
    const { rfilename: path, size, blobId, lfs } = sibling ?? {};
    if (typeof path !== "string" || !isSafePath(path))
      throw new HubError(`${what}: the hub lists the file name ${JSON.stringify(path)}, which is refused`);
    const sha256 = hex(lfs?.sha256, 64);
    const gitHash = lfs ? undefined : hex(blobId, 40);
    const bytes = lfs?.size ?? size;
    return {
      path,
      ...(Number.isSafeInteger(bytes) && bytes >= 0 && { size: bytes }),
      ...(sha256 && { sha256 }),
      ...(gitHash && { gitHash }),
    };
  });
  return { commit: sha, files };
}

async function listing(
  connection: HubConnection,
  reference: HubReference,
  what: string,
  page: string,
): Promise<HubSnapshot> {
  const revision = encodeURIComponent(reference.revision);
  const url = `${connection.endpoint}/api/${reference.kind}s/${reference.repo}/revision/${revision}?blobs=true`;
  const json = await withRetries(connection, what, async () =>
    (await request(connection, url, { what, page })).json(),
  );
  return parseListing(json, what);
}

/**
 * Downloads files of a model or data set from the Hugging Face hub, and says in which folder they are.
 *
 * What is in the cache is not fetched again; content is kept by its hash, downloads continue where they were cut, and a
 * file has its name only once its checksum agreed.
 *
 * @throws Error saying what was refused and what to do: the spelling, HF_TOKEN, a gated repository's terms, being offline.
 */
export async function downloadHub(options: HubOptions): Promise<HubDownload> {
  const { kind, repo, revision = "main" } = options;
  const environment = process.env;
  const reference: HubReference = { kind, repo, revision };
  const cache = options.cache ?? cacheFolder();
  const token = options.token ?? environment.HF_TOKEN;
  const connection: HubConnection = {
    endpoint: (options.endpoint ?? environment.HF_ENDPOINT ?? "https://huggingface.co").replace(/\/+$/, ""),
    ...(token && { token }),
    attempts: options.attempts ?? 5,
    backoff: options.backoff ?? 500,
    ...(options.signal && { signal: options.signal }),
  };
  const offline =
    options.offline ?? [environment.FDIV_OFFLINE, environment.HF_HUB_OFFLINE].some((flag) => flag === "1");
  const what = `${kind} ${repo}@${revision}`;
  const page = kind === "dataset" ? `datasets/${repo}` : repo;

  // A commit never changes, so that its listing is asked for once.
  const known = offline || commitHash.test(revision) ? await readListing(cache, reference) : undefined;
  if (offline && !known) throw new HubError(`${what}: not in the cache (${cache}), and fdiv is offline`);
  const snapshot = known ?? (await listing(connection, reference, what, page));
  if (!known) await writeListing(cache, reference, snapshot);

  const folder = snapshotFolder(cache, reference, snapshot.commit);
  const paths = snapshot.files.map(({ path }) => path);
  const wanted = options.files ? options.files(paths) : paths;
  for (const path of wanted) {
    const file = snapshot.files.find((candidate) => candidate.path === path);
    if (!file) throw new HubError(`${what}: has no file ${path}; it has ${paths.slice(0, 20).join(", ")}`);
    const at = join(folder, ...path.split("/"));
    if (await exists(at)) continue;
    const blob = blobPath(cache, reference, snapshot.commit, file);
    if (offline && !(await exists(blob)))
      throw new HubError(`${what}: ${path} is not in the cache (${cache}), and fdiv is offline`);
    await downloadFile(connection, {
      url: `${connection.endpoint}/${page}/resolve/${snapshot.commit}/${encodePath(path)}`,
      what: `${what}, ${path}`,
      page,
      file,
      target: blob,
      onBytes: (received) =>
        options.onProgress?.({ file: path, received, ...(file.size !== undefined && { total: file.size }) }),
    });
    await linkBlob(blob, at);
  }
  return { folder, files: wanted, commit: snapshot.commit };
}
