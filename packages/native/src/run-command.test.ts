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
    const folder = await mkdtemp(join(tmpdir(), "fdiv-native-"));
    const file = join(folder, "signs-of-life");
    const controller = new AbortController();
    const child = `setInterval(() => require("node:fs").appendFileSync(${JSON.stringify(file)}, "."), 10); setTimeout(() => process.exit(), 20_000)`;
    const script = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: "ignore" }); setInterval(() => {}, 1000)`;
    const running = runCommand(node, ["-e", script], { signal: controller.signal });
    running.catch(() => undefined);
    const signs = () =>
      readFile(file, "utf8").then(
        ({ length }) => length,
        () => 0,
      );
    while ((await signs()) === 0) await wait(20);
    controller.abort(new Error("stopped"));
    await expect(running).rejects.toThrow("stopped");
    await wait(100);
    const last = await signs();
    await wait(200);
    expect(await signs()).toBe(last);
    await rm(folder, { recursive: true });
  });
});
