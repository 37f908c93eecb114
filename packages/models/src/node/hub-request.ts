import { setTimeout as sleep } from "node:timers/promises";

/** How the hub is reached. */
export interface HubConnection {
  /** Without a slash at its end. */
  endpoint: string;
  token?: string;
  /** Attempts for what may pass: lost connections, busy servers. */
  attempts: number;
  /** Milliseconds before the second attempt; doubles each time. */
  backoff: number;
  signal?: AbortSignal;
}

/** An answer of the hub that trying again does not change. */
export class HubError extends Error {
  override name = "HubError";
}

const mayPass = (status: number) => status === 408 || status === 429 || status >= 500;

function refusal(
  response: Response,
  what: string,
  { endpoint, token }: HubConnection,
  page: string,
): HubError {
  const code = response.headers.get("x-error-code") ?? "";
  const key = token ? "the token in HF_TOKEN has no access" : "set HF_TOKEN to a token with access";
  if (code === "GatedRepo" || (response.status === 403 && code !== "RepoNotFound"))
    return new HubError(
      `${what}: the repository is gated; accept its terms at ${endpoint}/${page}, then ${key}`,
    );
  if (response.status === 401)
    return new HubError(`${what}: not found, or private; check the spelling, or ${key}`);
  if (response.status === 404) {
    const missing = { RevisionNotFound: "no such revision", EntryNotFound: "no such file" }[code];
    return new HubError(`${what}: ${missing ?? "not found; check the spelling"}`);
  }
  return new HubError(`${what}: the hub answered ${response.status} ${response.statusText}`);
}

/** Runs `attempt` until it succeeds, fails for good, or has failed `attempts` times. */
export async function withRetries<T>(
  connection: HubConnection,
  what: string,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof HubError || connection.signal?.aborted) throw error;
      const { cause, message, retryAfter = 0 } = error as Error & { retryAfter?: number };
      if (tries >= connection.attempts)
        throw new Error(
          `${what}: ${message}${cause ? ` (${(cause as Error).message})` : ""}, after ${tries} attempts; ` +
            "try again, and what has arrived is kept",
          { cause: error },
        );
      const wait = Math.max(connection.backoff * 2 ** (tries - 1), Math.min(retryAfter, 120) * 1000);
      await sleep(wait, undefined, { signal: connection.signal });
    }
  }
}

/** One request. @throws HubError for a refusal, another Error for what may pass. */
export async function request(
  connection: HubConnection,
  url: string,
  { what, page, headers = {} }: { what: string; page: string; headers?: Record<string, string> },
): Promise<Response> {
  const response = await fetch(url, {
    // fetch itself drops the authorization where a redirect leads to another host.
    headers: { ...headers, ...(connection.token && { authorization: `Bearer ${connection.token}` }) },
    signal: connection.signal ?? null,
  });
  if (response.ok || response.status === 416) return response;
  await response.body?.cancel();
  if (mayPass(response.status))
    throw Object.assign(new Error(`the hub answered ${response.status} ${response.statusText}`), {
      retryAfter: Number(response.headers.get("retry-after")) || 0,
    });
  throw refusal(response, what, connection, page);
}
