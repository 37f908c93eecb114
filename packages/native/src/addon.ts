import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { lastLines, NativeError } from "./native-error.ts";
import { runCommand } from "./run-command.ts";
import type { NativeTarget } from "./target.ts";

/** Node's stable binary interface of Node 20 and newer: one build serves all. */
export const napiVersion = 8;

/** The addon's place in an installation. */
export const addonPath = `lib/napi-v${napiVersion}/tfjs_binding.node`;

/** Where Node's headers are in an installation; TensorFlow's C headers are in deps/include. */
export const headersFolder = "deps/include/node";

/** A C++ compiler and what it calls itself. */
export interface Compiler {
  command: string;
  version: string;
}

/**
 * The first C++ compiler that runs: `CXX`, g++, clang++, c++ (clang++ first on macOS).
 *
 * @throws NativeError when there is none
 */
export async function findCompiler(
  signal?: AbortSignal,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Compiler> {
  const usual = process.platform === "darwin" ? ["clang++", "g++", "c++"] : ["g++", "clang++", "c++"];
  const commands = environment.CXX ? [environment.CXX] : usual;
  for (const command of commands) {
    const { code, stdout } = await runCommand(command, ["--version"], {
      signal,
      env: environment,
      timeout: 60_000,
    });
    if (code === 0) return { command, version: stdout.split("\n")[0]!.trim() };
  }
  const tried = environment.CXX ? `CXX=${environment.CXX} does not run` : `${usual.join(", ")} were tried`;
  throw new NativeError(
    [
      `Building the binding needs a C++ compiler, and none was found (${tried}).`,
      "  Debian, Ubuntu: apt install g++    Fedora: dnf install gcc-c++    macOS: xcode-select --install (or brew install llvm)",
      "Or pass a tfjs_binding.node that was built on a like machine with --prebuilt <file>.",
    ].join("\n"),
  );
}

/** What an addon is made of; paths are relative to the installation, or absolute. */
export interface AddonSources {
  sources: readonly string[];
  output: string;
  flags?: readonly string[];
}

/** tfjs-node's own binding. */
export const binding: AddonSources = {
  sources: ["binding/tfjs_backend.cc", "binding/tfjs_binding.cc"],
  output: addonPath,
  flags: ["-DNODE_GYP_MODULE_NAME=tfjs_binding", "-w"],
};

/** The compiler's arguments that make an addon of Node's, linked with TensorFlow, in a folder with its headers and libraries. */
export function compileArguments(folder: string, target: NativeTarget, addon: AddonSources): string[] {
  const shared =
    target.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup", "-Wl,-rpath,@loader_path/../../deps/lib"]
      : ["-shared", "-fPIC", "-s", "-Wl,-rpath,$ORIGIN/../../deps/lib"];
  return [
    "-O2",
    "-std=c++17",
    `-DNAPI_VERSION=${napiVersion}`,
    "-DBUILDING_NODE_EXTENSION",
    ...(addon.flags ?? []),
    `-I${join(folder, headersFolder)}`,
    `-I${join(folder, "deps/include")}`,
    ...addon.sources.map((source) => resolve(folder, source)),
    ...target.libraries.map((library) => join(folder, "deps/lib", library)),
    ...shared,
    "-o",
    join(folder, addon.output),
  ];
}

/** @throws NativeError with the compiler's last lines when it fails */
export async function compileAddon(
  compiler: Compiler,
  folder: string,
  target: NativeTarget,
  addon: AddonSources,
  signal?: AbortSignal,
): Promise<void> {
  await mkdir(dirname(join(folder, addon.output)), { recursive: true });
  const args = compileArguments(folder, target, addon);
  const { code, endedBy, stderr } = await runCommand(compiler.command, args, { signal });
  if (code === 0) return;
  const how = endedBy ? `was ended by ${endedBy} (out of memory?)` : "failed";
  throw new NativeError(
    `${compiler.command} (${compiler.version}) ${how}. C++17 is needed: GCC 8 or clang 7, or newer. It said:\n${lastLines(stderr, 20)}`,
  );
}

/** Removes symbols that running does not need; false where there is no `strip` or the libraries are signed (macOS). */
export async function stripLibraries(
  folder: string,
  target: NativeTarget,
  signal?: AbortSignal,
): Promise<boolean> {
  if (target.platform !== "linux") return false;
  const files = target.libraries.map((library) => join(folder, "deps/lib", library));
  const { code } = await runCommand("strip", ["--strip-unneeded", ...files], { signal });
  return code === 0;
}
