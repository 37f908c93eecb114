import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readConfig } from "./config-file.ts";
import { nearest } from "./nearest.ts";
import { dpoSchema } from "./schemas.ts";

async function configFile(text: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), "fdiv-config-")), "dpo.yaml");
  await writeFile(file, text);
  return file;
}

const minimal = "model: ./m\ndata: { train: a.jsonl }\noutput: runs/a\n";

it("fills in the defaults and lets --set win", async () => {
  const config = await readConfig(dpoSchema, await configFile(minimal), ["beta=0.3", "lora.rank=8"]);
  expect(config).toMatchObject({
    beta: 0.3,
    divergence: "reverse-kl",
    lora: { rank: 8 },
    data: { eval: 0.1 },
  });
});

it("refuses an unknown key and suggests the known one, at any depth", async () => {
  const file = await configFile(`${minimal}divergance: js\n`);
  await expect(readConfig(dpoSchema, file)).rejects.toThrow(
    /unknown key "divergance"; did you mean "divergence"\?/,
  );
  await expect(readConfig(dpoSchema, await configFile(minimal), ["data.maxLenght=3"])).rejects.toThrow(
    /"data.maxLenght"; did you mean "maxLength"/,
  );
});

it("says file, line and column of malformed YAML, and what is missing", async () => {
  const file = await configFile("model: [a\nbeta: 1\n");
  await expect(readConfig(dpoSchema, file)).rejects.toThrow(/dpo\.yaml:\d+:\d+: /);
  await expect(readConfig(dpoSchema, await configFile("beta: 1"))).rejects.toThrow(/model: .*\n.*data: /);
  await expect(readConfig(dpoSchema, "absent.yaml")).rejects.toThrow(
    /absent\.yaml: no such configuration file/,
  );
});

it("does not let a setting reach the prototype", async () => {
  await expect(readConfig(dpoSchema, await configFile(minimal), ["__proto__.beta=1"])).rejects.toThrow(
    /unknown key/,
  );
  expect(({} as { beta?: number }).beta).toBeUndefined();
});

it("suggests only what is near", () => {
  expect(nearest("bta", ["beta", "seed"])).toBe("beta");
  expect(nearest("wholly-other", ["beta", "seed"])).toBeUndefined();
});
