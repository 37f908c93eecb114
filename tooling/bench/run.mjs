// Benchmarks side by side: each side is a process of its own that prints its seconds; the sides take turns, and what is
// quoted is the ratio of one turn's two medians, since absolute times drift with the machine.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { benchmarks } from "./benchmarks.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    "install-peers": { type: "boolean" },
    rounds: { type: "string", default: "3" },
    help: { type: "boolean" },
  },
});

if (values.help || positionals.length === 0) {
  console.log(`npm run bench -- NAME… [--rounds N] [--python FILE | --install-peers]

--python FILE     a Python with torch, transformers, datasets, accelerate and trl
--install-peers   make such a Python in a throw-away environment first (several gigabytes)
Without either, only the sides that need no Python run.

${Object.entries(benchmarks)
  .map(([name, { title }]) => `  ${name.padEnd(18)} ${title}`)
  .join("\n")}`);
  process.exit(positionals.length === 0 && !values.help ? 2 : 0);
}

const unknown = positionals.filter((name) => !Object.hasOwn(benchmarks, name));
if (unknown.length > 0) {
  console.error(
    `No benchmark called ${unknown.join(", ")}. There are: ${Object.keys(benchmarks).join(", ")}.`,
  );
  process.exit(2);
}

const python = values["install-peers"] ? installPeers() : values.python && resolve(values.python);

function installPeers() {
  const folder = mkdtempSync(join(tmpdir(), "fdiv-peers-"));
  execFileSync("python3", ["-m", "venv", folder], { stdio: "inherit" });
  const bin = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  execFileSync(bin, ["-m", "pip", "install", "-q", "-r", join(here, "peers/requirements.txt")], {
    stdio: "inherit",
  });
  console.log(`The peers are in ${folder}; --python ${bin} uses them again. Remove the folder when done.`);
  return bin;
}

function run(side) {
  const [file, ...args] = side.command;
  const isPython = file.endsWith(".py");
  const command = isPython
    ? [python, join(here, "peers", file), ...args]
    : [process.execPath, "--import", "tsx", join(here, "sides", file), ...args];
  const { stdout, stderr, status } = spawnSync(command[0], command.slice(1), {
    encoding: "utf8",
    cwd: isPython ? join(here, "peers") : here,
    // For what is counted from the process's start.
    env: { ...process.env, FDIV_BENCH_STARTED: String(Date.now()) },
    maxBuffer: 1 << 26,
  });
  const line = stdout?.split("\n").find((text) => text.startsWith("RESULT "));
  if (status !== 0 || !line) throw new Error(`${side.name} failed (${status}):\n${stderr?.slice(-2000)}`);
  return JSON.parse(line.slice("RESULT ".length));
}

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length % 2
    ? sorted[(sorted.length - 1) / 2]
    : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
};
const range = (numbers, digits) =>
  `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)}–${Math.max(...numbers).toFixed(digits)})`;

for (const name of positionals) {
  const { title, unit, work, sides, prepare } = benchmarks[name];
  if (prepare) run({ name: `what ${name} needs`, command: prepare });
  const present = sides.filter((side) => !side.command[0].endsWith(".py") || (python && existsSync(python)));
  const rows = present.map((side) => ({ side, medians: [], peaks: [], impossible: undefined }));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const row of rows) {
      if (row.impossible !== undefined) continue;
      const { seconds, peakMegabytes, impossible } = run(row.side);
      if (impossible !== undefined) {
        row.impossible = impossible;
        console.error(`  round ${round + 1}: ${row.side.name} can't: ${impossible}`);
        continue;
      }
      row.medians.push(median(seconds));
      row.peaks.push(peakMegabytes);
      console.error(`  round ${round + 1}: ${row.side.name} ${(median(seconds) * 1e3).toFixed(2)} ms`);
    }
  console.log(`\n${title}\n`);
  console.log(
    `| side | ms | ${unit} | ratio to the first row, round by round | peak MB |\n|---|---|---|---|---|`,
  );
  for (const { side, medians, peaks, impossible } of rows) {
    if (impossible !== undefined) {
      console.log(`| ${side.name} | can't: ${impossible} | | | |`);
      continue;
    }
    const ratios = medians.map((seconds, round) => rows[0].medians[round] / seconds);
    console.log(
      `| ${side.name} | ${range(
        medians.map((s) => s * 1e3),
        1,
      )} | ${(work / median(medians)).toFixed(work > 100 ? 0 : 2)} | ${range(ratios, 2)} | ${Math.round(Math.max(...peaks))} |`,
    );
  }
  const missing = sides.length - present.length;
  if (missing > 0) console.log(`\n${missing} Python sides did not run: give --python or --install-peers.`);
}
