import { afterEach, describe, expect, it, vi } from "vitest";
import { main } from "./main.ts";
import { cpuWheels } from "./pinned-releases.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

const cache = temporaryFolder();

async function run(...args: string[]) {
  const output = { out: "", err: "" };
  const take = (name: "out" | "err") => (text: unknown) => {
    output[name] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(take("out"));
  vi.spyOn(process.stderr, "write").mockImplementation(take("err"));
  process.exitCode = 0;
  await main(args);
  const code = process.exitCode;
  process.exitCode = 0;
  return { ...output, code };
}

afterEach(() => vi.restoreAllMocks());

describe("fdiv-native", () => {
  it("explains its commands", async () => {
    const { out, code } = await run("--help");
    for (const command of ["install", "status", "remove", "path", "wheels"])
      expect(out).toContain(`  ${command}`);
    expect(code).toBe(0);
  });

  it("fails with one line where nothing is installed", async () => {
    const { out, err, code } = await run("path", "--cache", cache);
    expect([out, err, code]).toEqual([
      "",
      "fdiv-native: Nothing is installed. Run: npx @fdiv/native install\n",
      1,
    ]);
    const status = await run("status", "--cache", cache);
    expect(status.out).toMatch(/CPU build: not installed[\s\S]*npx @fdiv\/native install/);
    expect(status.code).toBe(1);
    const json = JSON.parse((await run("status", "--json", "--cache", cache)).out);
    expect(json.map(({ flavour }: { flavour: string }) => flavour)).toEqual(["cpu", "gpu"]);
  });

  it("refuses what it does not know", async () => {
    expect((await run("install", "--fast")).code).toBe(1);
    expect((await run("remove", "--cpu", "--gpu", "--cache", cache)).err).toMatch(/exclude each other/);
    expect((await run("remove", "--cache", cache)).err).toBe("nothing was installed\n");
  });

  it.skipIf(!cpuWheels[`${process.platform}-${process.arch}`])(
    "lists the wheels with their hashes",
    async () => {
      expect((await run("wheels")).out).toMatch(
        /==2\.15\.1 {2}tensorflow\S*\.whl {2}\d+ MB {2}sha256:[0-9a-f]{64}\n$/,
      );
    },
  );
});
