import "@tensorflow/tfjs";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { commandEnvironment, commandLine, fdiv } from "../command-line.testing.ts";

vi.setConfig({ testTimeout: 600_000 });

it("goes on after Ctrl-C, ends with a table and a report, and leaves a finished one alone", async () => {
  const output = join(await mkdtemp(join(tmpdir(), "fdiv-demo-")), "a demo");
  const args = ["demo", "--output", output, "--scale", "0.03"];
  const child = spawn(process.execPath, commandLine(args), { env: commandEnvironment, stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  try {
    await vi.waitFor(() => expect(existsSync(join(output, "reverse-kl", "metrics.jsonl"))).toBe(true), {
      timeout: 300_000,
      interval: 20,
    });
    child.kill("SIGINT");
    expect(await ended).toBe(130);
  } finally {
    child.kill("SIGKILL");
  }
  const pairs = await readFile(join(output, "pairs.jsonl"), "utf8");

  const again = await fdiv(...args);
  expect(again.err).toMatch(/continuing the demo in/);
  expect(again.code).toBe(0);
  expect(await readFile(join(output, "pairs.jsonl"), "utf8")).toBe(pairs);
  for (const name of ["before", "reverse-kl", "jensen-shannon", "alpha:0.5", "forward-kl"])
    expect(again.out).toMatch(new RegExp(`^${name} .*± `, "m"));
  expect(again.out.trim().split("\n").at(-1)).toBe(`report: ${join(output, "report.html")}`);
  expect(await readFile(join(output, "report.html"), "utf8")).toContain("reward against divergence");

  const third = await fdiv(...args);
  expect(third.err).toMatch(/exists already; remove it/);
  expect(third.code).toBe(1);
});
