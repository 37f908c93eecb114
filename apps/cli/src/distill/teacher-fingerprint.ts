import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Where a folder has a denoiser: an MLP's beside its configuration, a U-Net's as diffusers has it. */
const places = ["", "unet", "scheduler"];

/** Identifies a teacher by what its denoiser's files hold. */
export async function teacherFingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const place of places) {
    const names = await readdir(join(folder, place)).catch(() => [] as string[]);
    for (const name of names.filter((file) => /\.(json|safetensors|bin)$/.test(file)).sort()) {
      const own = createHash("sha256");
      await pipeline(createReadStream(join(folder, place, name)), own);
      hash.update(JSON.stringify([place, name, own.digest("hex")]));
    }
  }
  return hash.digest("hex");
}
