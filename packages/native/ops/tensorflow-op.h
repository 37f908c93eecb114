// A small C++ face of TensorFlow's C kernel interface: an operation is its signature and one function of tensors.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

namespace fdiv_ops {

/** The values of an operation's attributes, in the order of its signature. */
struct Attributes {
  std::vector<double> values;
  float real(int index) const { return static_cast<float>(values[index]); }
  int64_t integer(int index) const { return static_cast<int64_t>(values[index]); }
  bool flag(int index) const { return values[index] != 0; }
};

/** One execution of an operation: its inputs and attributes, and where its outputs go. */
class Call {
 public:
  Call(TF_OpKernelContext* context, const Attributes& attributes);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const Attributes& attributes;
  const float* floats(int input) const { return static_cast<const float*>(data(input)); }
  const int32_t* integers(int input) const { return static_cast<const int32_t*>(data(input)); }
  /** An input that the operation changes in place; only for what the caller owns alone or changes on purpose. */
  float* changed(int input) const { return static_cast<float*>(data(input)); }
  int64_t size(int input) const;
  int64_t dim(int input, int axis) const;
  int rank(int input) const;
  int inputs() const { return static_cast<int>(inputs_.size()); }
  std::vector<int64_t> shape(int input) const;
  /** Allocates an output of float32. */
  float* output(int index, const std::vector<int64_t>& shape);
  /** Ends the execution with an error that TensorFlow reports. */
  void fail(const std::string& message);
  bool ok() const { return ok_; }

 private:
  void* data(int input) const;
  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> inputs_;
  std::vector<TF_Tensor*> outputs_;
  float nothing_ = 0;
  bool ok_ = true;
};

/** What an operation is called, takes and gives, in TensorFlow's words: "x: float", "epsilon: float". */
struct Signature {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  /** Each "name: float", "name: int" or "name: bool"; "name: int >= 1" counts the tensors of a list. */
  std::vector<const char*> attributes;
};

/** Registers operations and their kernels for the CPU, once a process; empty when that worked, else the reason. */
std::string registerOperation(const Signature& signature, void* (*create)(TF_OpKernelConstruction*),
                              void (*compute)(void*, TF_OpKernelContext*));

void* readAttributes(const Signature& signature, TF_OpKernelConstruction* construction);
void deleteAttributes(void* attributes);

/** Joins a signature and a function: `Operation<signature, function>::registered()`. */
template <const Signature& signature, void (*function)(Call&)>
struct Operation {
  static void* create(TF_OpKernelConstruction* construction) { return readAttributes(signature, construction); }
  static void compute(void* attributes, TF_OpKernelContext* context) {
    Call call(context, *static_cast<Attributes*>(attributes));
    if (call.ok()) function(call);
  }
  static std::string registered() { return registerOperation(signature, create, compute); }
};

// Each file of operations registers its own.
std::string registerGroupNormOperations();
std::string registerRowOperations();
std::string registerElementOperations();
std::string registerAttentionOperations();
std::string registerOptimiserOperations();
std::string registerDecoderOperations();
std::string registerMatrixOperations();
std::string registerTransportOperations();
std::string registerTransportGradientOperations();
std::string registerPairwiseOperations();
std::string registerConvolutionOperations();

}  // namespace fdiv_ops
