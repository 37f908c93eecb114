import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines, NativeError } from "./native-error.ts";
import type { PinnedWheel } from "./pinned-releases.ts";
import { runCommand } from "./run-command.ts";

/** A command that runs pip, and what it calls itself. */
export interface Pip {
  command: readonly [string, ...string[]];
  version: string;
}

const candidates: readonly Pip["command"][] =
  process.platform === "win32"
    ? [["py", "-3", "-m", "pip"], ["python", "-m", "pip"], ["pip"]]
    : [["python3", "-m", "pip"], ["python", "-m", "pip"], ["pip3"], ["pip"], ["uvx", "pip"]];

/**
 * The first pip that runs: of python3, of python, on its own, through uv.
 *
 * @throws NativeError when there is none
 */
export async function findPip(signal?: AbortSignal): Promise<Pip> {
  for (const command of candidates) {
    const [program, ...args] = command;
    const { code, stdout } = await runCommand(program, [...args, "--version"], { signal, timeout: 60_000 });
    const version = /^pip (\d+)\.(\d+)\S*/m.exec(stdout);
    if (code === 0 && version && Number(version[1]) * 100 + Number(version[2]) >= 2003)
      return { command, version: version[0] };
  }
  throw new NativeError(
    [
      "TensorFlow is fetched with pip (20.3 or newer), and no pip was found: python3 -m pip, python -m pip, pip3, pip and uvx pip were tried.",
      "  Debian, Ubuntu: apt install python3-pip    Fedora: dnf install python3-pip    macOS: brew install python",
      "Or fetch the wheel on another machine and pass it with --wheel <file>; `fdiv-native wheels` lists what is needed.",
    ].join("\n"),
  );
}

/** Bytes of the files below a folder that pip is writing to, some of which vanish meanwhile. */
async function bytesSoFar(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const file = await stat(join(entry.parentPath ?? entry.path, entry.name)).catch(() => undefined);
    if (file?.isFile()) bytes += file.size;
  }
  return bytes;
}

function explain(wheel: PinnedWheel, pip: Pip, output: string): NativeError {
  const what = `${wheel.project}==${wheel.version}`;
  const said = `pip said:\n${lastLines(output)}`;
  if (/DO NOT MATCH THE HASHES/i.test(output))
    return new NativeError(
      `Your package index offers another ${wheel.file} than the one published; it was not installed. Ask whoever runs the index. ${said}`,
    );
  if (/No matching distribution|from versions: none/i.test(output))
    return new NativeError(
      `Your package index has no ${wheel.file} (${what}). It is on PyPI: pass it with --wheel <file>. ${said}`,
    );
  if (/No space left/i.test(output))
    return new NativeError(`No space left while downloading ${what}. ${said}`);
  return new NativeError(
    `${pip.command.join(" ")} could not download ${what}. Check the network and pip's configuration (pip config list), or pass the file with --wheel. ${said}`,
  );
}

/**
 * Downloads a pinned wheel into an empty folder, through the user's own pip configuration.
 *
 * @throws NativeError when pip fails or its index has other content
 */
export async function pipDownload(
  pip: Pip,
  wheel: PinnedWheel,
  folder: string,
  options: { signal?: AbortSignal; onBytes?(bytes: number): void } = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const requirements = join(folder, "requirements.txt");
  await writeFile(requirements, `${wheel.project}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
  const [program, ...first] = pip.command;
  const args = [...first, "download", "--no-deps", "--require-hashes", "--only-binary=:all:"];
  args.push("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311");
  for (const platform of wheel.platforms) args.push("--platform", platform);
  args.push(
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--dest",
    folder,
    "--requirement",
    requirements,
  );
  const timer = setInterval(async () => options.onBytes?.(await bytesSoFar(folder)), 500);
  try {
    // pip's own temporary files go where there is room for them; /tmp is often a small memory disk.
    const env = { ...process.env, TMPDIR: folder };
    const { code, stdout, stderr } = await runCommand(program, args, { env, signal: options.signal });
    if (code !== 0) throw explain(wheel, pip, `${stdout}\n${stderr}`);
  } finally {
    clearInterval(timer);
  }
  return join(folder, wheel.file);
}
