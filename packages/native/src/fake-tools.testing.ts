import { createHash } from "node:crypto";
import { chmod, cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tar from "tar";
import { makeZip } from "./made-zip.testing.ts";
import type { PinnedPackage, PinnedWheel } from "./pinned-releases.ts";

const hash = async (path: string, algorithm: string, encoding: "hex" | "base64"): Promise<string> =>
  createHash(algorithm)
    .update(await readFile(path))
    .digest(encoding);

/** Makes a wheel with stand-ins for TensorFlow's libraries, and gives the pin its hash. */
export async function publishWheel(
  registry: string,
  wheel: PinnedWheel,
  libraries: readonly string[],
): Promise<string> {
  await mkdir(registry, { recursive: true });
  const entries: Record<string, string> = {
    "tensorflow/include/tensorflow/c/c_api.h": "// C",
    "tensorflow/x.py": "",
  };
  for (const library of libraries) entries[`tensorflow/${library}`] = `${library} `.repeat(1000);
  const path = await makeZip(join(registry, wheel.file), entries);
  wheel.sha256 = await hash(path, "sha256", "hex");
  wheel.bytes = (await stat(path)).size;
  return path;
}

/** Makes an npm tarball and gives the pin its integrity. */
export async function publishPackage(
  registry: string,
  pinned: PinnedPackage,
  files: Record<string, string>,
): Promise<void> {
  const folder = join(registry, `${pinned.name.replace("/", "-")}-source`);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, "package", name, ".."), { recursive: true });
    await writeFile(join(folder, "package", name), content);
  }
  const file = join(registry, `${pinned.name.replace("@", "").replace("/", "-")}-${pinned.version}.tgz`);
  await tar.create({ file, cwd: folder, gzip: true, portable: true }, ["package"]);
  await rm(folder, { recursive: true });
  pinned.integrity = `sha512-${await hash(file, "sha512", "base64")}`;
}

/** What each tool does: shell code with the registry in $REGISTRY, by the tool's name. */
export const workingTools = {
  // Stands for `python3 -m pip`: the folder follows --dest.
  python3: `
case "$*" in *--version*) echo "pip 24.0 from here"; exit 0;; esac
echo "$*" >> "$REGISTRY/pip-calls"
while [ $# -gt 0 ]; do case "$1" in --dest) dest="$2";; esac; shift; done
/bin/cp "$REGISTRY"/*.whl "$dest/"`,
  npm: `
if [ "$1" = --version ]; then echo 10.0.0; exit 0; fi
case "$2" in *tfjs-node*) f=tensorflow-tfjs-node;; *protobuf*) f=google-protobuf;; *) f=node-api-headers;; esac
/bin/cp "$REGISTRY"/$f-*.tgz "$4/"`,
  "g++": `
if [ "$1" = --version ]; then echo "g++ 13.0"; exit 0; fi
while [ $# -gt 0 ]; do case "$1" in -o) out="$2";; esac; shift; done
echo addon > "$out"`,
};

/** Writes tools as shell scripts into a folder of their own, to be the only one on the path. */
export async function writeTools(
  folder: string,
  registry: string,
  tools: Partial<Record<string, string>>,
): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, code] of Object.entries(tools)) {
    await writeFile(join(folder, name), `#!/bin/sh\nREGISTRY='${registry}'\n${code}\n`);
    await chmod(join(folder, name), 0o755);
  }
  return folder;
}

/** A copy of a registry that can be spoilt. */
export async function copyRegistry(from: string, to: string): Promise<string> {
  await cp(from, to, { recursive: true });
  return to;
}
