import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { fdiv } from "../command-line.testing.ts";
import { checkConfig } from "../config/config-file.ts";
import { effective } from "../kd/ignored-keys.ts";
import { kdSchema } from "../kd/kd-schema.ts";
import { checkRunStart } from "./run-start.ts";

let output: string;

const config = () => ({ output, steps: 5, sinkhorn: { lambda: 0.1 } });

/** A run as its directory has it once a checkpoint is written. */
async function begun(kept: object, checkpoint = true): Promise<void> {
  await writeFile(join(output, "metrics.jsonl"), "");
  await writeFile(join(output, "config.json"), JSON.stringify(kept));
  if (checkpoint) await mkdir(join(output, "checkpoints", "step-000000005"), { recursive: true });
}

beforeEach(async () => {
  output = await mkdtemp(join(tmpdir(), "fdiv-start-"));
});

it("refuses a directory with a run unless it is to be continued", async () => {
  await checkRunStart(config(), { resume: false });
  await begun(config());
  await expect(checkRunStart(config(), { resume: false })).rejects.toThrow(
    /already holds a run\. Add --resume/,
  );
  await checkRunStart(config(), { resume: true });
});

it("names the keys that changed, but for where the run lies; without a checkpoint they may", async () => {
  await begun({ ...config(), output: "elsewhere" });
  await checkRunStart(config(), { resume: true });
  const changed = { ...config(), sinkhorn: { lambda: 0.3 }, seed: 1 };
  await expect(checkRunStart(changed, { resume: true })).rejects.toThrow(
    /another configuration.* Changed: sinkhorn\.lambda was 0\.1, is 0\.3; seed was absent, is 1\.$/,
  );
  await expect(checkRunStart(changed, { resume: true, free: ["sinkhorn"] })).rejects.toThrow(
    /Changed: seed was absent, is 1\.$/,
  );
  output = await mkdtemp(join(tmpdir(), "fdiv-start-"));
  await begun(config(), false);
  await checkRunStart({ ...changed, output }, { resume: true });
});

it("is asked by the commands before a model is looked for", async () => {
  const settings = {
    task: { name: "sst2", folder: "none" },
    teacher: { model: "none" },
    student: { layers: 1 },
    output,
  };
  await begun(effective(checkConfig(kdSchema, settings, "test")));
  const { code, err } = await fdiv("kd", output, "--resume", "--set", "sinkhorn.lambda=0.3");
  expect(err).toMatch(/Changed: sinkhorn\.lambda was 0\.1, is 0\.3\.\n$/);
  expect(code).toBe(1);
});
