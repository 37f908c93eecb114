// Holds the packages that users will install, not the sources, against what is promised: each tarball is linted, its types are
// resolved as Node does, and all of them are installed into an empty project and imported there.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const require = createRequire(import.meta.url);
const packages = ["packages", "apps"]
  .flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name)))
  .filter((folder) => existsSync(join(folder, "package.json")))
  .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) }))
  .filter(({ manifest }) => !manifest.private);

const work = mkdtempSync(join(tmpdir(), "fdiv-pack-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

const npmCli = [
  process.env.npm_execpath,
  join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"),
  join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"),
].find((path) => path?.includes("npm-cli") && existsSync(path));
if (!npmCli) throw new Error("npm was not found beside this Node; start the gate through npm.");

function call(args, cwd) {
  try {
    return execFileSync(process.execPath, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    console.error(error.stdout ?? "", error.stderr ?? "");
    throw new Error(`failed: node ${args.join(" ")} in ${cwd}`);
  }
}

const pnpmVersion = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager;
const pnpm = (args, cwd) => call([npmCli, "exec", "--yes", "--", pnpmVersion, ...args], cwd);

const attw = join(dirname(require.resolve("@arethetypeswrong/cli/package.json")), "dist/index.js");
const { publint } = await import("publint");
const { formatMessage } = await import("publint/utils");

const tarballs = {};
for (const { folder, manifest } of packages) {
  const out = pnpm(["pack", "--json", "--pack-destination", work], folder);
  const { filename, files } = JSON.parse(out.slice(out.indexOf("{")));
  const tarball = resolve(folder, filename);
  tarballs[manifest.name] = tarball;

  const stray = files.filter(({ path }) => /\.test\.|\.tgz$|golden|vitest\.config/.test(path));
  if (stray.length > 0)
    throw new Error(`${manifest.name} ships ${stray.map(({ path }) => path).join(", ")}; see "files".`);
  for (const needed of ["README.md", "LICENSE", "package.json"])
    if (!files.some(({ path }) => path === needed)) throw new Error(`${manifest.name} ships no ${needed}.`);

  const { messages } = await publint({
    pack: { tarball: Uint8Array.from(readFileSync(tarball)).buffer },
    strict: true,
  });
  const serious = messages.filter(({ type }) => type !== "suggestion");
  if (serious.length > 0)
    throw new Error(`${manifest.name}: ${serious.map((m) => formatMessage(m, manifest)).join("\n")}`);

  call([attw, tarball, "--profile", "esm-only"], work);
  console.error(`  ${manifest.name}: ${files.length} files, linted, types resolve`);
}

function entries(manifest) {
  return Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === "object")
    .map(([path]) => manifest.name + path.slice(1));
}

function installAndImport(title, names, extra, script) {
  const project = join(work, title.replace(/\W+/g, "-"));
  mkdirSync(project);
  const dependencies = Object.fromEntries(names.map((name) => [name, pathToFileURL(tarballs[name]).href]));
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({
      name: "empty",
      private: true,
      type: "module",
      dependencies: { ...dependencies, ...extra },
    }),
  );
  call([npmCli, "install", "--no-audit", "--no-fund", "--loglevel=error"], project);
  writeFileSync(join(project, "check.mjs"), script);
  process.stderr.write(call(["check.mjs"], project).replace(/^/gm, "  ").trimEnd());
  console.error(`\n  ${title}: installed and imported`);
}

const tfjs = { "@tensorflow/tfjs": "4.22.0" };
const all = packages.map(({ manifest }) => manifest.name);
const specifiers = packages
  .flatMap(({ manifest }) => entries(manifest))
  .filter((name) => !name.endsWith("/testing"));
installAndImport(
  "every package",
  all,
  tfjs,
  `import "@tensorflow/tfjs";
for (const name of ${JSON.stringify(specifiers)}) {
  const exported = Object.keys(await import(name)).length;
  if (exported === 0) throw new Error(name + " exports nothing");
}
console.log("imported", ${specifiers.length}, "entries");
`,
);
installAndImport(
  "dpo alone",
  ["@fdiv/dpo", "@fdiv/divergences", "@fdiv/tensor-core"],
  tfjs,
  `import * as tf from "@tensorflow/tfjs";
import { divergence } from "@fdiv/divergences";
import { preferenceLoss } from "@fdiv/dpo";
const zero = tf.tensor1d([0]);
const { loss } = preferenceLoss(
  { policy: { chosen: tf.tensor1d([1]), rejected: tf.tensor1d([-0.5]) }, reference: { chosen: zero, rejected: zero } },
  { divergence: divergence("jensen-shannon"), beta: 0.1 },
);
const value = loss.dataSync()[0];
if (Math.abs(value - 0.6606522) > 1e-6) throw new Error("loss " + value);
console.log("Jensen–Shannon loss of the worked example:", value.toFixed(6));
`,
);
installAndImport(
  "divergences bundled",
  ["@fdiv/divergences", "@fdiv/tensor-core"],
  { ...tfjs, esbuild: JSON.parse(readFileSync(join(here, "package.json"), "utf8")).devDependencies.esbuild },
  // A bundler may drop any module that claims to have no side effects: the names have to survive that.
  `import { build } from "esbuild";
const options = { bundle: true, platform: "node", format: "cjs", write: false, logLevel: "error" };
const contents = 'import { divergence } from "@fdiv/divergences"; globalThis.found = divergence("jensen-shannon").score(0);';
const { outputFiles } = await build({ ...options, stdin: { contents, resolveDir: process.cwd() } });
const { createRequire } = await import("node:module");
new Function("require", outputFiles[0].text)(createRequire(import.meta.url));
if (globalThis.found !== 0) throw new Error("the bundle's score is " + globalThis.found);
console.log("a bundle finds divergences by name,", Math.round(outputFiles[0].text.length / 1024), "KiB");
`,
);
