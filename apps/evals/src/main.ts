import { readdirSync } from "node:fs";
import type { Recipe } from "./recipe.ts";

const folder = new URL("./recipes/", import.meta.url);

/** Recipes by name: each file of the folder is one. */
const files = new Map(
  readdirSync(folder)
    .filter((file) => /(?<!\.d|\.test)\.[tj]s$/.test(file))
    .map((file) => [file.replace(/\.[tj]s$/, ""), file]),
);

const load = (file: string): Promise<Recipe> => import(new URL(file, folder).href) as Promise<Recipe>;

const [name = "", ...args] = process.argv.slice(2);
const file = files.get(name);
if (file === undefined) {
  for (const [known, path] of files) console.error(`fdiv-evals ${known} ${(await load(path)).usage}`);
  process.exit(2);
}
try {
  await (await load(file)).run(args);
} catch (error) {
  console.error(`fdiv-evals ${name}: ${(error as Error).message}`);
  process.exit(1);
}
