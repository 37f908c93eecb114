import { spawn } from "node:child_process";

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** Milliseconds after which the command is ended. */
  timeout?: number;
}

export interface CommandResult {
  /** Undefined when it was ended by a signal. */
  code: number | undefined;
  /** Name of the signal that ended it. */
  endedBy?: string;
  /** False when there is no such command. */
  found: boolean;
  stdout: string;
  stderr: string;
}

const maximumOutput = 1 << 20;

/**
 * Runs a command to its end and gives what it wrote; aborting ends it with its children.
 *
 * @throws the signal's reason when aborted
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const { cwd, env, timeout, signal } = options;
  const ownGroup = process.platform !== "win32";
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: ownGroup });
  const stop = (): void => {
    try {
      if (ownGroup && child.pid) process.kill(-child.pid, "SIGTERM");
      else child.kill();
    } catch {
      // It has ended already.
    }
  };
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] = (output[name] + text).slice(-maximumOutput);
    });
  const timer = timeout === undefined ? undefined : setTimeout(stop, timeout);
  signal?.addEventListener("abort", stop);
  try {
    const result = await new Promise<CommandResult>((resolve, reject) => {
      child.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "EACCES")
          resolve({ code: undefined, found: false, ...output });
        else reject(error);
      });
      child.on("close", (code, endedBy) =>
        resolve({ code: code ?? undefined, ...(endedBy && { endedBy }), found: true, ...output }),
      );
    });
    signal?.throwIfAborted();
    return result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
