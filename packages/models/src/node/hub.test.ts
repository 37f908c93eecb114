import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadHub, type HubOptions } from "./hub.ts";
import { cacheFolder } from "./hub-cache.ts";
import { isSafePath, parseHubReference } from "./hub-reference.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const weights = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
const config = Buffer.from('{"model_type":"llama"}');
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const gitHash = (bytes: Buffer) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const siblings = [
  { rfilename: "config.json", size: config.length, blobId: gitHash(config) },
  {
    rfilename: "sub/weights.bin",
    size: 134,
    blobId: "x",
    lfs: { sha256: sha256(weights), size: weights.length },
  },
];

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean | undefined;
let handler: Handler;
let log: { url: string; range?: string; token?: string }[];
let server: ReturnType<typeof createServer>;
let options: HubOptions;

function send(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start > 0) response.setHeader("content-range", `bytes ${start}-${body.length - 1}/${body.length}`);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": body.length - start });
  response.end(body.subarray(start));
}

beforeEach(async () => {
  handler = () => false;
  log = [];
  server = createServer((request, response) => {
    const url = request.url!;
    log.push({
      url,
      ...(request.headers.range && { range: request.headers.range }),
      ...(request.headers.authorization && { token: request.headers.authorization }),
    });
    if (handler(request, response)) return;
    if (url.startsWith("/api/")) response.end(JSON.stringify({ sha: commit, siblings }));
    else if (url.endsWith("config.json")) send(request, response, config);
    else if (url.startsWith("/moved")) send(request, response, weights);
    else response.writeHead(302, { location: "/moved" }).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  options = {
    kind: "model",
    repo: "owner/name",
    cache: await mkdtemp(join(tmpdir(), "fdiv-hub-")),
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: "",
    offline: false,
    backoff: 1,
    attempts: 3,
  };
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(options.cache!, { recursive: true, force: true });
});

const answer =
  (status: number, code?: string): Handler =>
  (_, response) => {
    response.writeHead(status, code ? { "x-error-code": code } : {}).end();
    return true;
  };

describe("downloading from the hub", () => {
  it("gets the files asked for, through redirects, with progress and the token", async () => {
    const seen: number[] = [];
    const { folder, files } = await downloadHub({
      ...options,
      token: "secret",
      onProgress: ({ file, received, total }) => {
        if (file === "sub/weights.bin") seen.push(received);
        expect(total).toBe(file === "config.json" ? config.length : weights.length);
      },
    });
    expect(files).toEqual(["config.json", "sub/weights.bin"]);
    expect(await readFile(join(folder, "sub", "weights.bin"))).toEqual(weights);
    expect(seen.at(-1)).toBe(weights.length);
    expect(log[0]).toMatchObject({
      url: "/api/models/owner/name/revision/main?blobs=true",
      token: "Bearer secret",
    });
    expect(log[1]!.url).toBe(`/owner/name/resolve/${commit}/config.json`);
  });

  it("fetches nothing twice, and nothing at all offline or for a known commit", async () => {
    await downloadHub(options);
    const before = log.length;
    await downloadHub(options);
    expect(log.length).toBe(before + 1);
    await downloadHub({ ...options, offline: true });
    await downloadHub({ ...options, revision: commit });
    const asked = log.length;
    await downloadHub({ ...options, revision: commit });
    expect(log.length).toBe(asked);
    expect(asked).toBe(before + 2);
  });

  it("continues where the connection was cut", async () => {
    let cut = false;
    handler = (request, response) => {
      if (request.url !== "/moved" || cut) return false;
      cut = true;
      response.writeHead(200, { "content-length": weights.length });
      response.write(weights.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    };
    const { folder } = await downloadHub(options);
    expect(log.at(-1)!.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await readFile(join(folder, "sub/weights.bin"))).toEqual(weights);
  });

  it("continues what an earlier run left, and starts anew where that was wrong", async () => {
    const blobs = join(options.cache!, "hub/blobs/sha256");
    await downloadHub({ ...options, files: () => ["sub/weights.bin"] });
    await rm(join(options.cache!, "hub/models"), { recursive: true });
    const blob = join(blobs, sha256(weights));
    await rm(blob);
    await writeFile(`${blob}.part`, weights.subarray(0, 1234));
    await downloadHub({ ...options, files: () => ["sub/weights.bin"] });
    expect(log.at(-1)!.range).toBe("bytes=1234-");

    await rm(join(options.cache!, "hub/models"), { recursive: true });
    await rm(blob);
    await writeFile(`${blob}.part`, Buffer.alloc(5000, 7));
    const { folder } = await downloadHub({ ...options, files: () => ["sub/weights.bin"] });
    expect(log.at(-1)!.range).toBeUndefined();
    expect(await readFile(join(folder, "sub/weights.bin"))).toEqual(weights);
  });

  it("keeps nothing whose checksum is wrong", async () => {
    handler = (request, response) => {
      if (request.url !== "/moved") return false;
      send(request, response, Buffer.alloc(weights.length, 1));
      return true;
    };
    await expect(downloadHub(options)).rejects.toThrow(/sub\/weights\.bin: .*checksum.*nothing was kept/);
    expect(await readdir(join(options.cache!, "hub/blobs/sha256"))).toEqual([]);
  });

  it("checks small files by git's hash", async () => {
    handler = (request, response) => {
      if (!request.url!.endsWith("config.json")) return false;
      send(request, response, Buffer.from('{"model_type":"wrong"}'));
      return true;
    };
    await expect(downloadHub(options)).rejects.toThrow(/config\.json: .*checksum/);
  });

  it("tries again when the server is busy, and gives up in the end", async () => {
    let busy = 2;
    handler = (request, response) => (busy-- > 0 ? answer(503)(request, response) : false);
    await downloadHub(options);
    handler = answer(500);
    await expect(downloadHub(options)).rejects.toThrow(/answered 500.*after 3 attempts/);
    await expect(downloadHub({ ...options, endpoint: "http://127.0.0.1:1" })).rejects.toThrow(
      /after 3 attempts/,
    );
  });

  it.each([
    [401, undefined, /not found, or private; .*set HF_TOKEN/],
    [401, "GatedRepo", /gated; accept its terms at .*owner\/name.*HF_TOKEN/],
    [403, "GatedRepo", /gated/],
    [404, "RevisionNotFound", /no such revision/],
    [404, undefined, /check the spelling/],
    [418, undefined, /answered 418/],
  ])("explains %s %s, at once", async (status, code, message) => {
    handler = answer(status, code);
    await expect(downloadHub(options)).rejects.toThrow(message);
    expect(log.length).toBe(1);
  });

  it("refuses file names that lead elsewhere, and answers that are no listing", async () => {
    handler = (_, response) => {
      response.end(JSON.stringify({ sha: commit, siblings: [{ rfilename: "../../evil" }] }));
      return true;
    };
    await expect(downloadHub(options)).rejects.toThrow(/"\.\.\/\.\.\/evil", which is refused/);
    handler = (_, response) => {
      response.end("{}");
      return true;
    };
    await expect(downloadHub(options)).rejects.toThrow(/is not understood/);
  });

  it("asks for data sets where they are", async () => {
    await downloadHub({ ...options, kind: "dataset", files: () => ["config.json"] });
    expect(log.map(({ url }) => url)).toEqual([
      "/api/datasets/owner/name/revision/main?blobs=true",
      `/datasets/owner/name/resolve/${commit}/config.json`,
    ]);
  });

  it("says what is missing offline", async () => {
    await expect(downloadHub({ ...options, offline: true })).rejects.toThrow(/not in the cache.*offline/);
    await downloadHub({ ...options, files: () => ["config.json"] });
    await expect(downloadHub({ ...options, offline: true })).rejects.toThrow(
      /weights\.bin is not in the cache/,
    );
    await expect(downloadHub({ ...options, files: () => ["nothing"] })).rejects.toThrow(
      /has no file nothing/,
    );
  });
});

describe("references to the hub", () => {
  it.each([
    ["hf:owner/name", { kind: "model", repo: "owner/name", revision: "main" }],
    ["hf:gpt2", { kind: "model", repo: "gpt2", revision: "main" }],
    ["hf:owner/name@v1.0", { kind: "model", repo: "owner/name", revision: "v1.0" }],
    [
      "hf:owner/name@refs/pr/3/a.gguf",
      { kind: "model", repo: "owner/name", revision: "refs/pr/3", path: "a.gguf" },
    ],
    ["hf:owner/name/sub/a.gguf", { kind: "model", repo: "owner/name", revision: "main", path: "sub/a.gguf" }],
    [
      "hf:owner/name@main/sub/a.gguf",
      { kind: "model", repo: "owner/name", revision: "main", path: "sub/a.gguf" },
    ],
    ["hf:datasets/owner/name", { kind: "dataset", repo: "owner/name", revision: "main" }],
  ])("reads %s", (text, want) => {
    expect(parseHubReference(text)).toEqual(want);
  });
  it.each(["owner/name", "hf:", "hf:../x", "hf:a/b@", "hf:a/b@main/../x", "hf:a b/c", "hf:a/b/../../c"])(
    "refuses %s",
    (text) => {
      expect(() => parseHubReference(text)).toThrow(/hf:owner\/name\[@revision\]\[\/file\]/);
    },
  );
  it("refuses paths that leave their folder on any system", () => {
    expect(["a/b.txt", "ü.json"].every(isSafePath)).toBe(true);
    expect(["/a", "a//b", "..", "a/../b", "a\\b", "C:a", "a\0", "", "./a"].some(isSafePath)).toBe(false);
  });
});

it("puts the cache where the environment says", () => {
  expect(cacheFolder({ FDIV_CACHE: "/x", XDG_CACHE_HOME: "/y" })).toBe("/x");
  expect(cacheFolder({ XDG_CACHE_HOME: "/y" })).toBe(join("/y", "fdiv"));
});
