import { existsSync } from "node:fs";
import { mkdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { withLock } from "./install-lock.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

const root = temporaryFolder();

describe("withLock", () => {
  it("lets one in at a time and tells the other that it waits", async () => {
    const path = join(root, "one.lock");
    const events: string[] = [];
    const hold = (name: string) =>
      withLock(
        path,
        async () => {
          events.push(`${name} in`);
          await wait(50);
          events.push(`${name} out`);
        },
        { onWait: () => events.push(`${name} waits`) },
      );
    const first = hold("a");
    await wait(20);
    await Promise.all([first, hold("b")]);
    expect(events).toEqual(["a in", "b waits", "a out", "b in", "b out"]);
    expect(existsSync(path)).toBe(false);
  });

  it("gives up after its patience", async () => {
    const path = join(root, "two.lock");
    await withLock(path, async () => {
      await expect(withLock(path, async () => 1, { patience: 0 })).rejects.toThrow(/Another process/);
    });
  });

  it("takes over from a process that died", async () => {
    const path = join(root, "three.lock");
    await mkdir(path);
    const old = new Date(Date.now() - 60_000);
    await utimes(path, old, old);
    expect(await withLock(path, async () => "in", { patience: 0 })).toBe("in");
  });

  it("is free again after a failure, and when waiting is stopped", async () => {
    const path = join(root, "four.lock");
    await expect(withLock(path, () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(existsSync(path)).toBe(false);
    await withLock(path, async () => {
      const controller = new AbortController();
      const waiting = withLock(path, async () => 1, {
        signal: controller.signal,
        onWait: () => controller.abort(new Error("stopped")),
      });
      await expect(waiting).rejects.toThrow();
    });
  });

  it("says why it was stopped, not how", async () => {
    const controller = new AbortController();
    const action = async () => {
      controller.abort(new Error("Ctrl-C"));
      throw new Error("The operation was aborted");
    };
    await expect(withLock(join(root, "five.lock"), action, { signal: controller.signal })).rejects.toThrow(
      "Ctrl-C",
    );
  });
});
