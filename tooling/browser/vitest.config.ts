import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineProject } from "vitest/config";
import { propertySeed } from "../vitest/shared.ts";
import { chromiumFlags, findChromium } from "./chromium.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const executablePath = findChromium();

/** Tests named *.browser.test.ts of every package run in the machine's Chromium; without one a skipped test says so. */
export default defineProject(
  executablePath === undefined
    ? { test: { name: "browser", include: ["absent.test.ts"] } }
    : {
        root,
        resolve: { conditions: ["@fdiv/source"] },
        server: {
          headers: {
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp",
          },
        },
        test: {
          name: "browser",
          root,
          dir: root,
          include: ["packages/*/src/**/*.browser.test.ts"],
          setupFiles: [propertySeed],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: { executablePath, args: chromiumFlags } }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
);
