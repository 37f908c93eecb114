import { NativeError } from "./native-error.ts";
import {
  cpuWheels,
  gpuWheels,
  type PinnedWheel,
  tensorflowVersion,
  tfjsNodeVersion,
} from "./pinned-releases.ts";

/** The CPU build, or the one with CUDA. */
export type Flavour = "cpu" | "gpu";

/** A machine as Node names it. */
export interface Machine {
  platform: string;
  arch: string;
  /** False where the C library is not the one that wheels are built for (musl). */
  glibc: boolean;
}

/** What is installed on a machine, and under which name. */
export interface NativeTarget extends Machine {
  flavour: Flavour;
  /** Name of the folder in the cache. */
  name: string;
  /** TensorFlow's own wheel first. */
  wheels: readonly PinnedWheel[];
  /** Libraries that the addon is linked with, under deps/lib. */
  libraries: readonly string[];
  /** Bytes of the unpacked, stripped installation, for the check of the disk. */
  installedBytes: number;
}

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  let glibc = true;
  if (process.platform === "linux") {
    const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
    glibc = Boolean(report?.header?.glibcVersionRuntime);
  }
  return { platform: process.platform, arch: process.arch, glibc };
}

/** Name of an installation's folder: flavour, versions, platform, architecture. */
export const targetName = (
  flavour: Flavour,
  { platform, arch }: Pick<Machine, "platform" | "arch">,
): string => `${flavour}-tf${tensorflowVersion}-tfjs${tfjsNodeVersion}-${platform}-${arch}`;

/**
 * What an installation for a machine consists of.
 *
 * @throws NativeError where there is none: Windows, musl, another processor, CUDA elsewhere than on Linux x64
 */
export function nativeTarget(flavour: Flavour, machine: Machine = thisMachine()): NativeTarget {
  const { platform, arch, glibc } = machine;
  const key = `${platform}-${arch}`;
  const otherwise = "fdiv runs on its wasm backend here without it.";
  if (platform === "win32")
    throw new NativeError(
      `TensorFlow ${tensorflowVersion} for Windows comes without a library to link with. Install inside WSL2 (Linux). ${otherwise}`,
    );
  if (!glibc)
    throw new NativeError(
      `TensorFlow is built for glibc, and this system has another C library (musl). Use a Debian, Ubuntu, Fedora or similar system or image. ${otherwise}`,
    );
  const wheels = flavour === "gpu" ? gpuWheels[key] : cpuWheels[key] && [cpuWheels[key]];
  if (!wheels)
    throw new NativeError(
      flavour === "gpu" && cpuWheels[key]
        ? `TensorFlow ${tensorflowVersion} has a CUDA build for Linux x64 only, and this is ${key}. Install without --gpu.`
        : `There is no TensorFlow ${tensorflowVersion} with a known hash for ${key}. ${otherwise}`,
    );
  const ending = (name: string): string => (platform === "darwin" ? `${name}.2.dylib` : `${name}.so.2`);
  return {
    ...machine,
    flavour,
    name: targetName(flavour, machine),
    wheels,
    libraries: [ending("libtensorflow_cc"), ending("libtensorflow_framework")],
    installedBytes: flavour === "gpu" ? 3.6e9 : platform === "darwin" ? 725e6 : 460e6,
  };
}
