/** A wheel as its project published it; any other content is refused. */
export interface PinnedWheel {
  project: string;
  version: string;
  file: string;
  sha256: string;
  bytes: number;
  /** pip's tags for it, the oldest names first, for old pips. */
  platforms: readonly string[];
}

/** An npm package's tarball as it was published; any other content is refused. */
export interface PinnedPackage {
  name: string;
  version: string;
  integrity: string;
}

export const tensorflowVersion = "2.15.1";
export const tfjsNodeVersion = "4.22.0";

export const tfjsNodePackage: PinnedPackage = {
  name: "@tensorflow/tfjs-node",
  version: tfjsNodeVersion,
  integrity:
    "sha512-uHrXeUlfgkMxTZqHkESSV7zSdKdV0LlsBeblqkuKU9nnfxB1pC6DtoyYVaLxznzZy7WQSegjcohxxCjAf6Dc7w==",
};

/** Reads saved models and writes summaries; the one dependency of the binding that is kept. */
export const protobufPackage: PinnedPackage = {
  name: "google-protobuf",
  version: "3.21.4",
  integrity:
    "sha512-MnG7N936zcKTco4Jd2PX2U96Kf9PxygAPKBug+74LHzmHXmceN16MmRcdgZv+DGef/S9YvQAfRsNCn4cjf9yyQ==",
};

/** The headers of Node's stable binary interface, needed while compiling. */
export const headersPackage: PinnedPackage = {
  name: "node-api-headers",
  version: "1.5.0",
  integrity:
    "sha512-Yi/FgnN8IU/Cd6KeLxyHkylBUvDTsSScT0Tna2zTrz8klmc8qF2ppj6Q1LHsmOueJWhigQwR4cO2p0XBGW5IaQ==",
};

const manylinux = (arch: string): string[] => [`manylinux2014_${arch}`, `manylinux_2_17_${arch}`];

function tensorflow(
  project: string,
  tag: string,
  sha256: string,
  bytes: number,
  platforms: string[],
): PinnedWheel {
  const file = `${project.replaceAll("-", "_")}-${tensorflowVersion}-cp311-cp311-${tag}.whl`;
  return { project, version: tensorflowVersion, file, sha256, bytes, platforms };
}

const linuxTag = (arch: string): string => `manylinux_2_17_${arch}.manylinux2014_${arch}`;

/** The wheel with the CPU build, by platform and architecture as Node names them. */
export const cpuWheels: Readonly<Record<string, PinnedWheel>> = {
  "linux-x64": tensorflow(
    "tensorflow-cpu",
    linuxTag("x86_64"),
    "54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26",
    207_208_420,
    manylinux("x86_64"),
  ),
  "linux-arm64": tensorflow(
    "tensorflow-cpu-aws",
    linuxTag("aarch64"),
    "d4c3a3a9363bf42999adedbbd514e3a133be2d62f61fee9cfa46aaefb087c09e",
    211_874_120,
    manylinux("aarch64"),
  ),
  "darwin-x64": tensorflow(
    "tensorflow-cpu",
    "macosx_10_15_x86_64",
    "ee3bb114c6031d471d891c761e7eda2c80bea19bb318abcd3d5bab92ccfaf9aa",
    236_482_774,
    ["macosx_10_15_x86_64"],
  ),
  "darwin-arm64": tensorflow(
    "tensorflow",
    "macosx_12_0_arm64",
    "aa926114d1e13ffe5b2ea59c3f195216f26646d7fe36e9e5207b291e4b7902ff",
    205_736_374,
    ["macosx_12_0_arm64"],
  ),
};

function nvidia(name: string, version: string, sha256: string, bytes: number): PinnedWheel {
  const file = `nvidia_${name}_cu12-${version}-py3-none-manylinux1_x86_64.whl`;
  const project = `nvidia-${name.replaceAll("_", "-")}-cu12`;
  return { project, version, file, sha256, bytes, platforms: ["manylinux1_x86_64"] };
}

/**
 * The CUDA 12.2 build and what `tensorflow[and-cuda]` asks for, without what TensorFlow's libraries have no path to:
 * NCCL, cuRAND and NVRTC.
 */
export const gpuWheels: Readonly<Record<string, readonly PinnedWheel[]>> = {
  "linux-x64": [
    tensorflow(
      "tensorflow",
      linuxTag("x86_64"),
      "bb0edd69103c154245c5f209f0507355cc68ba7e4de350084bc31edc562478e4",
      475_258_663,
      manylinux("x86_64"),
    ),
    nvidia(
      "cublas",
      "12.2.5.6",
      "f448d8db463f9a2c7dd9a1e607c0961d3e95f825b86839c5882f7d073d406df0",
      417_825_305,
    ),
    nvidia(
      "cuda_cupti",
      "12.2.142",
      "ce68d1009dd14215e38ed49643d31374c71d6fea381181cb0b9da7f19dfd1624",
      13_900_552,
    ),
    nvidia(
      "cuda_nvcc",
      "12.2.140",
      "c6ff4ae7a636eb6cab7621191e19ac3779690686bbcf52c04d8b1ca2944e1e27",
      21_319_729,
    ),
    nvidia(
      "cuda_runtime",
      "12.2.140",
      "acb9cb7e44594a3512533497ea790d9f0b0e399abcc888584c157d1ffa080e41",
      845_802,
    ),
    nvidia(
      "cudnn",
      "8.9.4.25",
      "9f882d5b11753c566fd32427839089eb4f8ba7a58c28446ad359e32c40229723",
      720_096_787,
    ),
    nvidia(
      "cufft",
      "11.0.8.103",
      "72e961e578f9be9e316ccb4db8652c421dd0b57442624faa71061d452f449a67",
      98_570_970,
    ),
    nvidia(
      "cusolver",
      "11.5.2.141",
      "5a85c4653ce34339a5688137f494a0f903e0f0532418550998167f00844161da",
      124_890_758,
    ),
    nvidia(
      "cusparse",
      "12.1.2.141",
      "4e13d6a51d2303dcb2a023ba09546811161f0334fc64e13689397bbd3b1eb126",
      195_268_625,
    ),
    nvidia(
      "nvjitlink",
      "12.2.140",
      "95635cafbf9f96c38bea5200ab145a2e6aefbb5405e0b04c1e4ba54df2d84ec9",
      20_177_273,
    ),
  ],
};
