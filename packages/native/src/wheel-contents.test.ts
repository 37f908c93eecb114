import { describe, expect, it } from "vitest";
import { placeOfEntry } from "./wheel-contents.ts";

describe("placeOfEntry", () => {
  it.each([
    ["tensorflow/libtensorflow_cc.so.2", "deps/lib/libtensorflow_cc.so.2"],
    ["tensorflow/libtensorflow_framework.2.dylib", "deps/lib/libtensorflow_framework.2.dylib"],
    ["tensorflow/include/tensorflow/c/eager/c_api.h", "deps/include/tensorflow/c/eager/c_api.h"],
    ["tensorflow_cpu_aws.libs/libomp-54bf90fd.so.5", "deps/tensorflow_cpu_aws.libs/libomp-54bf90fd.so.5"],
    ["tensorflow_cpu-2.15.1.dist-info/LICENSE", "licenses/tensorflow_cpu-2.15.1/LICENSE"],
  ])("puts %s into %s", (name, place) => {
    expect(placeOfEntry(name, "cpu")).toBe(place);
  });

  it.each([
    "tensorflow/python/client/_pywrap_tf_session.so",
    "tensorflow/include/Eigen/Core.h",
    "tensorflow/include/tensorflow/c/notes.txt",
    "nvidia/cublas/lib/libcublas.so.12",
    "tensorflow/lite/libtensorflow_cc.so.2",
  ])("leaves out %s", (name) => {
    expect(placeOfEntry(name, "cpu")).toBeUndefined();
  });

  it("keeps CUDA's libraries where TensorFlow's look for them", () => {
    expect(placeOfEntry("nvidia/cudnn/lib/libcudnn.so.8", "gpu")).toBe("deps/nvidia/cudnn/lib/libcudnn.so.8");
    expect(placeOfEntry("nvidia/cuda_nvcc/bin/ptxas", "gpu")).toBe("deps/nvidia/cuda_nvcc/bin/ptxas");
    expect(placeOfEntry("nvidia/cudnn/include/cudnn.h", "gpu")).toBeUndefined();
    expect(placeOfEntry("nvidia/cudnn/lib/__init__.py", "gpu")).toBeUndefined();
  });
});
