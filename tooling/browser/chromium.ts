import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const places: Partial<Record<NodeJS.Platform, string[]>> = {
  darwin: [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ],
  win32: [process.env.PROGRAMFILES, process.env["PROGRAMFILES(X86)"], process.env.LOCALAPPDATA]
    .filter((folder) => folder !== undefined)
    .map((folder) => join(folder, "Google", "Chrome", "Application", "chrome.exe")),
};

/** The Chromium or Chrome of this machine: what `FDIV_CHROMIUM` names, else on the PATH, else where its installer puts it. */
export function findChromium(): string | undefined {
  const named = process.env.FDIV_CHROMIUM;
  if (named) {
    if (!existsSync(named)) throw new Error(`FDIV_CHROMIUM names ${named}, which does not exist.`);
    return named;
  }
  const onPath = (process.env.PATH ?? "")
    .split(delimiter)
    .filter(Boolean)
    .flatMap((folder) => names.map((name) => join(folder, name)));
  return [...onPath, ...(places[process.platform] ?? [])].find((path) => existsSync(path));
}

/** A page that may share memory among threads, and WebGPU on a processor where there is no graphics card. */
export const chromiumFlags = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  // Chromium's sandbox refuses to run as root, as containers do.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];
