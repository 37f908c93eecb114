import { defineConfig } from "vitest/config";
import SummaryReporter from "./tooling/vitest/summary-reporter.ts";

export default defineConfig({
  test: {
    projects: ["packages/*", "apps/*", "tooling/browser"],
    maxWorkers: 2,
    reporters: ["default", new SummaryReporter()],
  },
});
