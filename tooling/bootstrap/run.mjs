// The one door for a newcomer: installs what is missing, pnpm included, then runs the task. Plain Node, no dependency,
// and no shell, so that it behaves the same on Linux, macOS and Windows.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [task, ...rest] = process.argv.slice(2);
const environment = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: "1",
  TURBO_NO_UPDATE_NOTIFIER: "1",
  DO_NOT_TRACK: "1",
};

function fail(message) {
  console.error(`\n${message}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 11))
  fail(`fdiv needs Node 20.11 or newer; this is ${process.versions.node}. Get one from https://nodejs.org.`);

function run(command, args, options = {}) {
  const started = Date.now();
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    env: environment,
    stdio: "inherit",
    ...options,
  });
  if (error) fail(`Could not start ${command}: ${error.message}`);
  return { code: signal ? 130 : (status ?? 1), seconds: (Date.now() - started) / 1000 };
}

// npm runs this script, so its own CLI is known and needs no shell to be found.
function npmCli() {
  const candidates = [
    process.env.npm_execpath,
    join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"),
    join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"),
  ];
  const found = candidates.find((path) => path?.includes("npm-cli") && existsSync(path));
  return found ?? fail("npm was not found. Start this through npm, as in `npm run demo`.");
}

// Runs a command with the pinned pnpm on its PATH, installed or not: turbo looks for it there too.
function withPnpm(command) {
  return run(process.execPath, [
    npmCli(),
    "exec",
    "--yes",
    `--package=${manifest.packageManager}`,
    "--",
    ...command,
  ]);
}

function step(title, action) {
  console.error(`\n── ${title}`);
  const { code, seconds } = action();
  if (code !== 0) fail(`${title} failed (exit code ${code}). The lines above say why.`);
  console.error(`── ${title}: ${seconds.toFixed(1)} s`);
}

const bin = (name) => join(root, "node_modules", ...name);
const node = (args) => run(process.execPath, args);
const turbo = (args) =>
  withPnpm(["node", bin(["turbo", "bin", "turbo"]), "run", ...args, "--output-logs=errors-only"]);
const fdiv = join(root, "apps/cli/bin/fdiv.mjs");

function prepare(filter) {
  step("Install dependencies", () =>
    withPnpm(["pnpm", "install", "--frozen-lockfile", "--prefer-offline", "--reporter=append-only"]),
  );
  step("Build", () => turbo(["build", ...filter]));
}

const tasks = {
  demo() {
    prepare(["--filter=@fdiv/cli..."]);
    process.exit(node([fdiv, "demo", ...rest]).code);
  },
  fdiv() {
    if (!existsSync(join(root, "apps/cli/dist/main.js"))) prepare(["--filter=@fdiv/cli..."]);
    process.exit(node([fdiv, ...rest]).code);
  },
  bench() {
    prepare([]);
    process.exit(node([join(root, "tooling/bench/run.mjs"), ...rest]).code);
  },
  test() {
    prepare([]);
    step("Types", () => turbo(["typecheck"]));
    step("Lint and format", () => node([bin(["@biomejs", "biome", "bin", "biome"]), "check", "."]));
    step("Packed packages", () => node([join(root, "tooling/pack-gate/pack-gate.mjs")]));
    // Two hundred megabytes from PyPI, once a machine; without them the tests that need TensorFlow say that they are skipped.
    if (process.env.FDIV_TEST_NATIVE)
      step("TensorFlow's native backend", () =>
        node([join(root, "packages/native/bin/fdiv-native.js"), "install"]),
      );
    const { code } = node([bin(["vitest", "vitest.mjs"]), "run", ...rest]);
    process.exit(code);
  },
};

if (!tasks[task]) fail(`Unknown task "${task ?? ""}". One of: ${Object.keys(tasks).join(", ")}.`);
tasks[task]();
