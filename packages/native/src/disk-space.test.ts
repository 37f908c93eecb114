import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkSpace, freeBytes } from "./disk-space.ts";
import { formatBytes, formatMilliseconds } from "./sizes.ts";

describe("disk space", () => {
  it("is that of the nearest folder that exists", async () => {
    expect(await freeBytes(join(tmpdir(), "not", "there", "yet"))).toBeGreaterThan(0);
  });

  it("names both sizes when there is too little", () => {
    expect(() => checkSpace("/cache", 1.2e9, 300e6)).toThrow(/1\.2 GB.*300 MB are free at \/cache/);
    expect(() => checkSpace("/cache", 1.2e9, 1.2e9)).not.toThrow();
  });

  it("is written as people read it", () => {
    expect([900, 207_208_420, 2.09e9].map(formatBytes)).toEqual(["1 kB", "207 MB", "2.1 GB"]);
    expect([12.4, 12_340].map(formatMilliseconds)).toEqual(["12 ms", "12.3 s"]);
  });
});
