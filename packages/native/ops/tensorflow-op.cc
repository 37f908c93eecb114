#include "tensorflow-op.h"

#include <cstring>

namespace fdiv_ops {

Call::Call(TF_OpKernelContext* context, const Attributes& given)
    : attributes(given), context_(context), status_(TF_NewStatus()) {
  const int count = TF_NumInputs(context);
  inputs_.resize(count, nullptr);
  for (int i = 0; i < count && ok_; i++) {
    TF_GetInput(context, i, &inputs_[i], status_);
    if (TF_GetCode(status_) != TF_OK) fail(TF_Message(status_));
  }
}

Call::~Call() {
  for (TF_Tensor* tensor : inputs_)
    if (tensor) TF_DeleteTensor(tensor);
  for (TF_Tensor* tensor : outputs_) TF_DeleteTensor(tensor);
  TF_DeleteStatus(status_);
}

void* Call::data(int input) const { return TF_TensorData(inputs_[input]); }

int64_t Call::size(int input) const { return TF_TensorElementCount(inputs_[input]); }

int64_t Call::dim(int input, int axis) const { return TF_Dim(inputs_[input], axis); }

int Call::rank(int input) const { return TF_NumDims(inputs_[input]); }

std::vector<int64_t> Call::shape(int input) const {
  std::vector<int64_t> dims(TF_NumDims(inputs_[input]));
  for (size_t axis = 0; axis < dims.size(); axis++) dims[axis] = dim(input, static_cast<int>(axis));
  return dims;
}

float* Call::output(int index, const std::vector<int64_t>& shape) {
  size_t bytes = sizeof(float);
  for (int64_t size : shape) bytes *= static_cast<size_t>(size);
  TF_Tensor* tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape.data(), static_cast<int>(shape.size()),
                                        bytes, status_);
  if (TF_GetCode(status_) != TF_OK || !tensor) {
    fail(TF_GetCode(status_) != TF_OK ? TF_Message(status_) : "an output could not be allocated");
    return nullptr;
  }
  outputs_.push_back(tensor);
  return bytes == 0 ? &nothing_ : static_cast<float*>(TF_TensorData(tensor));
}

void Call::fail(const std::string& message) {
  ok_ = false;
  TF_Status* status = TF_NewStatus();
  TF_SetStatus(status, TF_INVALID_ARGUMENT, message.c_str());
  TF_OpKernelContext_Failure(context_, status);
  TF_DeleteStatus(status);
}

static std::string attributeName(const char* spec) { return std::string(spec, std::strchr(spec, ':')); }

void* readAttributes(const Signature& signature, TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes;
  TF_Status* status = TF_NewStatus();
  for (const char* spec : signature.attributes) {
    const std::string name = attributeName(spec);
    const char* type = std::strchr(spec, ':') + 2;
    double value = 0;
    if (std::strcmp(type, "float") == 0) {
      float found = 0;
      TF_OpKernelConstruction_GetAttrFloat(construction, name.c_str(), &found, status);
      value = found;
    } else if (std::strncmp(type, "int", 3) == 0) {
      int64_t found = 0;
      TF_OpKernelConstruction_GetAttrInt64(construction, name.c_str(), &found, status);
      value = static_cast<double>(found);
    } else {
      TF_Bool found = 0;
      TF_OpKernelConstruction_GetAttrBool(construction, name.c_str(), &found, status);
      value = found;
    }
    if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
    attributes->values.push_back(value);
  }
  TF_DeleteStatus(status);
  return attributes;
}

void deleteAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

static void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

std::string registerOperation(const Signature& signature, void* (*create)(TF_OpKernelConstruction*),
                              void (*compute)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(signature.name);
  for (const char* input : signature.inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* output : signature.outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  for (const char* attribute : signature.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  // What changes an input, or is measured, may not be folded or merged by anybody.
  TF_OpDefinitionBuilderSetIsStateful(definition, true);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShape);
  TF_Status* status = TF_NewStatus();
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(signature.name, "CPU", create, compute, deleteAttributes);
    TF_RegisterKernelBuilder(signature.name, kernel, status);
  }
  std::string problem = TF_GetCode(status) == TF_OK ? "" : TF_Message(status);
  TF_DeleteStatus(status);
  return problem;
}

}  // namespace fdiv_ops
