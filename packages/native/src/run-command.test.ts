import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runCommand } from "./run-command.ts";

const node = process.execPath;

describe("runCommand", () => {
  it("gives the code and what was written", async () => {
    const script = "console.log('out'); console.error('err'); process.exitCode = 3";
    expect(await runCommand(node, ["-e", script])).toMatchObject({
      code: 3,
      found: true,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  it("says that there is no such command", async () => {
    expect(await runCommand("fdiv-no-such-command", [])).toMatchObject({ found: false, code: undefined });
  });

  it("ends a command that takes too long", async () => {
    const result = await runCommand(node, ["-e", "setInterval(() => {}, 1000)"], { timeout: 300 });
    expect(result.code).toBeUndefined();
    expect(result.endedBy).toBe("SIGTERM");
  });

  it.skipIf(process.platform === "win32")("ends a command's children when aborted", async () => {
    const controller = new AbortController();
    const script =
      "const c = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']); require('node:fs').writeFileSync(process.argv[1], String(c.pid)); setInterval(() => {}, 1000)";
    const folder = await mkdtemp(join(tmpdir(), "fdiv-native-"));
    const file = join(folder, "pid");
    const running = runCommand(node, ["-e", script, file], { signal: controller.signal });
    running.catch(() => undefined);
    let pid = "";
    while (!pid) {
      await wait(20);
      pid = await readFile(file, "utf8").catch(() => "");
    }
    controller.abort(new Error("stopped"));
    await expect(running).rejects.toThrow("stopped");
    for (let alive = true, tries = 0; alive && tries < 100; tries++) {
      await wait(20);
      try {
        process.kill(Number(pid), 0);
        expect(tries).toBeLessThan(99);
      } catch {
        alive = false;
      }
    }
    await rm(folder, { recursive: true });
  });
});
