import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import lockfile from "proper-lockfile";
import { NativeError } from "./native-error.ts";

export interface LockOptions {
  signal?: AbortSignal;
  /** Told once when another process holds it. */
  onWait?(): void;
  /** Milliseconds to wait for another process; default: 30 minutes. */
  patience?: number;
}

/**
 * Does something while holding a lock that other processes respect; one whose process died is taken over after a quarter of a
 * minute.
 *
 * @throws NativeError when another process holds it for longer than the patience
 */
export async function withLock<T>(
  path: string,
  action: (signal: AbortSignal) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { signal, onWait, patience = 30 * 60_000 } = options;
  await mkdir(dirname(path), { recursive: true });
  const lost = new AbortController();
  const onCompromised = (error: Error): void =>
    lost.abort(new NativeError(`The lock ${path} was lost (${error.message}); start again.`));
  const started = Date.now();
  let release: (() => Promise<void>) | undefined;
  for (let waited = false; !release; waited = true) {
    signal?.throwIfAborted();
    try {
      release = await lockfile.lock(path, {
        realpath: false,
        lockfilePath: path,
        stale: 15_000,
        onCompromised,
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
      if (Date.now() - started >= patience)
        throw new NativeError(
          `Another process is installing or removing here (${path}). Let it finish and try again.`,
        );
      if (!waited) onWait?.();
      await wait(Math.min(500, patience), undefined, { signal });
    }
  }
  const stopped = signal ? AbortSignal.any([signal, lost.signal]) : lost.signal;
  try {
    return await action(stopped);
  } catch (error) {
    // Whatever broke off says why it was stopped, not how.
    stopped.throwIfAborted();
    throw error;
  } finally {
    await release().catch(() => undefined);
  }
}
