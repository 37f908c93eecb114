import * as tf from "@tensorflow/tfjs-core";
import { imageColumnsKernel } from "./image-columns.ts";
import { product } from "./mat-mul.ts";

interface Attributes {
  strides: [number, number] | number;
  pad: "valid" | "same" | number | tf.backend_util.ExplicitPadding;
  dataFormat: "NHWC" | "NCHW";
  dimRoundingMode?: "floor" | "round" | "ceil";
  filterShape: [number, number, number, number];
}

// TensorFlow.js' wasm backend lacks the gradient of tf.conv2d for its filters, so models written with it can't train there.
tf.registerKernel({
  kernelName: "Conv2DBackpropFilter",
  backendName: "wasm",
  kernelFunc: ({ inputs, attrs }) => {
    const { strides, pad, dataFormat, dimRoundingMode, filterShape } = attrs as unknown as Attributes;
    if (dataFormat === "NCHW")
      throw new Error("Conv2DBackpropFilter on wasm: only the data format NHWC is there.");
    return tf.tidy(() => {
      const [x, dy] = [inputs.x as tf.Tensor4D, inputs.dy as tf.Tensor4D];
      const { padInfo, strideHeight, strideWidth } = tf.backend_util.computeConv2DInfo(
        x.shape,
        filterShape,
        strides,
        1,
        pad,
        dimRoundingMode,
      );
      if (strideHeight !== strideWidth)
        throw new Error(`Conv2DBackpropFilter on wasm: strides ${strideHeight} and ${strideWidth} differ.`);
      const [height, width, channels, out] = filterShape;
      const { top, bottom, left, right } = padInfo;
      const columns = imageColumnsKernel(
        { x },
        { kernel: [height, width], stride: strideHeight, padding: [top, bottom, left, right] },
      )[0]!;
      const filter = product(columns, tf.reshape(dy, [-1, out]), true, false);
      return tf.reshape(filter, [height, width, channels, out]);
    });
  },
});
