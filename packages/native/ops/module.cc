// The Node addon: loading it registers the operations with the TensorFlow that the process has loaded.
#include <node_api.h>

#include <string>

#include "tensorflow-op.h"
#include "threads.h"

NAPI_MODULE_INIT() {
  static const std::string problem = fdiv_ops::registerRowOperations() + fdiv_ops::registerElementOperations() +
                                     fdiv_ops::registerGroupNormOperations() +
                                     fdiv_ops::registerAttentionOperations() + fdiv_ops::registerOptimiserOperations() +
                                     fdiv_ops::registerDecoderOperations() + fdiv_ops::registerMatrixOperations() +
                                     fdiv_ops::registerTransportOperations() +
                                     fdiv_ops::registerTransportGradientOperations() +
                                     fdiv_ops::registerPairwiseOperations() + fdiv_ops::registerConvolutionOperations();
  if (!problem.empty()) {
    napi_throw_error(env, nullptr, problem.c_str());
    return exports;
  }
  napi_value version, threads;
  napi_create_int32(env, FDIV_OPERATIONS_VERSION, &version);
  napi_create_int32(env, fdiv_ops::threadCount(), &threads);
  napi_set_named_property(env, exports, "version", version);
  napi_set_named_property(env, exports, "threads", threads);
  return exports;
}
