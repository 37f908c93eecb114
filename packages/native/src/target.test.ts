import { describe, expect, it } from "vitest";
import { cpuWheels, gpuWheels } from "./pinned-releases.ts";
import { nativeTarget, thisMachine } from "./target.ts";

const machine = (platform: string, arch: string, glibc = true) => ({ platform, arch, glibc });

describe("nativeTarget", () => {
  it("names the folder after flavour, versions and machine", () => {
    const target = nativeTarget("cpu", machine("linux", "x64"));
    expect(target.name).toBe("cpu-tf2.15.1-tfjs4.22.0-linux-x64");
    expect(target.wheels.map(({ project }) => project)).toEqual(["tensorflow-cpu"]);
    expect(target.libraries).toEqual(["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]);
  });

  it("takes the projects that carry the libraries on ARM and macOS", () => {
    expect(nativeTarget("cpu", machine("linux", "arm64")).wheels[0]!.project).toBe("tensorflow-cpu-aws");
    expect(nativeTarget("cpu", machine("darwin", "arm64")).wheels[0]!.project).toBe("tensorflow");
    expect(nativeTarget("cpu", machine("darwin", "x64")).libraries[0]).toBe("libtensorflow_cc.2.dylib");
  });

  it("adds CUDA's wheels for a GPU, TensorFlow's first", () => {
    const { wheels } = nativeTarget("gpu", machine("linux", "x64"));
    expect(wheels[0]!.project).toBe("tensorflow");
    expect(wheels.map(({ project }) => project)).toContain("nvidia-cudnn-cu12");
  });

  it.each([
    ["cpu", machine("win32", "x64"), /WSL2/],
    ["cpu", machine("linux", "x64", false), /glibc/],
    ["cpu", machine("linux", "riscv64"), /known hash for linux-riscv64/],
    ["cpu", machine("freebsd", "x64"), /known hash/],
    ["gpu", machine("darwin", "arm64"), /without --gpu/],
    ["gpu", machine("linux", "arm64"), /without --gpu/],
  ] as const)("refuses %s on %o with a way out", (flavour, where, message) => {
    expect(() => nativeTarget(flavour, where)).toThrow(message);
  });

  it("has a whole hash, a size and a fitting file name for every wheel", () => {
    const wheels = [...Object.values(cpuWheels), ...Object.values(gpuWheels).flat()];
    expect(new Set(wheels.map(({ sha256 }) => sha256)).size).toBe(wheels.length);
    for (const { project, version, file, sha256, bytes } of wheels) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(file.startsWith(`${project.replaceAll("-", "_")}-${version}-`)).toBe(true);
      expect(bytes).toBeGreaterThan(5e5);
    }
  });

  it("knows this machine", () => {
    expect(thisMachine()).toMatchObject({ platform: process.platform, arch: process.arch });
  });
});
