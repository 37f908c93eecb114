import "@tensorflow/tfjs";
import { cp, mkdtemp, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { createMlpDenoiser } from "../index.ts";
import { loadDenoiser, saveDenoiser } from "../node/index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** 4 GiB, of which the disk holds nothing; Node reads no such file whole. */
const vast = 2 ** 32;

/** A file that is a header and a tensor of float32, all zeros. */
async function sparse(path: string, name: string, bytes: number): Promise<void> {
  const header = JSON.stringify({
    [name]: { dtype: "F32", shape: [bytes / 4], data_offsets: [0, bytes] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(path, Buffer.concat([length, Buffer.from(header)]));
  await truncate(path, 8 + header.length + bytes);
}

const folderOf = (name: string) => mkdtemp(join(tmpdir(), `fdiv-bounded-${name}-`));

it("weights that are not the configuration's are refused before they are read, and so is a vast configuration", async () => {
  const unet = await folderOf("unet");
  await cp(fileURLToPath(new URL("golden/plain", import.meta.url)), unet, { recursive: true });
  const weights = join(unet, "diffusion_pytorch_model.safetensors");
  await sparse(weights, "time_embedding.linear_1.weight", vast);
  await expect(loadDenoiser(unet)).rejects.toThrow(
    /linear_1\.weight has shape \[1073741824\], expected \[16,4\]/,
  );
  await sparse(weights, "mid_block.attentions.0.query.weight", vast);
  await expect(loadDenoiser(unet)).rejects.toThrow(/time_embedding\.linear_1\.weight is missing/);
  await truncate(join(unet, "scheduler_config.json"), vast);
  await expect(loadDenoiser(unet)).rejects.toThrow(
    /scheduler_config\.json has 4294967296 bytes; no configuration/,
  );
  await truncate(join(unet, "config.json"), vast);
  await expect(loadDenoiser(unet)).rejects.toThrow(
    /[\\/]config\.json has 4294967296 bytes; no configuration/,
  );

  const mlp = await folderOf("mlp");
  await saveDenoiser(createMlpDenoiser({ hidden: 8 }), mlp);
  await sparse(join(mlp, "model.safetensors"), "input.weight", vast);
  await expect(loadDenoiser(mlp)).rejects.toThrow(/input\.weight has shape \[1073741824\], expected \[8,2\]/);
});
