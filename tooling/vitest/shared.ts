import { fileURLToPath } from "node:url";
import type { ProjectConfig } from "vitest/config";

export const propertySeed = fileURLToPath(new URL("property-seed.ts", import.meta.url));

/** What every package's tests share: sources instead of builds, and room for a training test on two cores. */
export const shared: ProjectConfig = {
  resolve: { conditions: ["@fdiv/source"] },
  ssr: { resolve: { conditions: ["@fdiv/source"] } },
  test: {
    setupFiles: [propertySeed],
    include: ["src/**/*.test.ts"],
    exclude: ["src/**/*.browser.test.ts"],
    pool: "forks",
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
};
