#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "oneapi/dnnl/dnnl.hpp"
#include "tests/bench/rivals/rivals.h"

namespace convserve::bench {
namespace {

using dnnl::memory;
using Dims = memory::dims;

constexpr std::int64_t kMostForReferenceLoops = std::int64_t{1} << 26;

// Whose layouts the primitive computes in, and when tensors are brought there.
enum class Mode { kPlain, kOneShot, kAny };

struct Step {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
};

Dims SpatialOf(const Problem& problem, std::int64_t Axis::*member, std::int64_t plus = 0) {
  Dims values;
  for (const Axis& axis : problem.axes()) values.push_back(axis.*member + plus);
  return values;
}

Dims Join(Dims head, const Dims& tail) {
  head.insert(head.end(), tail.begin(), tail.end());
  return head;
}

Dims RowMajorStrides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

// Of dims [N, C, spatial...] in memory as [N, spatial..., C].
Dims ChannelsLastStrides(const Dims& dims) {
  Dims stored = dims;
  std::rotate(stored.begin() + 1, stored.begin() + 2, stored.end());
  Dims strides = RowMajorStrides(stored);
  std::rotate(strides.begin() + 1, strides.end() - 1, strides.end());
  return strides;
}

memory::data_type TypeOf(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return memory::data_type::f16;
    case DataType::kBFloat16:
      return memory::data_type::bf16;
    case DataType::kInt8:
      return memory::data_type::s8;
    case DataType::kUInt8:
      return memory::data_type::u8;
    case DataType::kInt32:
      return memory::data_type::s32;
    default:
      return memory::data_type::f32;
  }
}

struct Descriptors {
  memory::desc source, weights, destination;
};

// Logical weight dimensions are [g,] M/g, C/g, k...; a transposed layer keeps them in memory as
// [g,] C/g, M/g, k...
Descriptors PlainDescriptors(const Workload& workload) {
  const Problem& problem = workload.problem;
  const Dims spatial = SpatialOf(problem, &Axis::input);
  const Dims kernel = SpatialOf(problem, &Axis::kernel);
  const Dims result = SpatialOf(problem, &Axis::output);
  const std::int64_t outputs = workload.group_outputs();
  const std::int64_t inputs = workload.group_inputs();
  const bool grouped = problem.groups() > 1;
  const std::size_t first = grouped ? 1 : 0;

  Dims weights = grouped ? Dims{problem.groups()} : Dims{};
  weights = Join(Join(std::move(weights), {outputs, inputs}), kernel);
  Dims stored = weights;
  if (workload.transposed()) std::swap(stored[first], stored[first + 1]);
  Dims strides = RowMajorStrides(stored);
  if (workload.transposed()) std::swap(strides[first], strides[first + 1]);

  const auto tensor = [&](DataType type, const Dims& dims) {
    return memory::desc(
        dims, TypeOf(type),
        workload.channels_last() ? ChannelsLastStrides(dims) : RowMajorStrides(dims));
  };
  return {
      tensor(problem.input_type(), Join({problem.batch(), problem.input_channels()}, spatial)),
      memory::desc(weights, TypeOf(problem.weight_type()), strides),
      tensor(problem.output_type(), Join({problem.batch(), problem.output_channels()}, result))};
}

memory::desc AnyLayout(const memory::desc& plain) {
  return memory::desc(plain.dims(), plain.data_type(), memory::format_tag::any);
}

class OneDnnRunner : public Runner {
 public:
  OneDnnRunner(const Workload& workload, Mode mode, dnnl::algorithm algorithm)
      : engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        output_(workload.problem.output_type(), workload.problem.output_shape()) {
    const Descriptors plain = PlainDescriptors(workload);
    Descriptors wanted = plain;
    if (mode != Mode::kPlain) {
      wanted.source = AnyLayout(plain.source);
      wanted.destination = AnyLayout(plain.destination);
    }
    if (mode != Mode::kPlain || workload.channels_last()) wanted.weights = AnyLayout(plain.weights);
    const Problem& problem = workload.problem;
    const Dims strides = SpatialOf(problem, &Axis::stride);
    const Dims dilations = SpatialOf(problem, &Axis::dilation, -1);
    const Dims before = SpatialOf(problem, &Axis::padding_begin);
    Dims after = SpatialOf(problem, &Axis::padding_end);
    for (std::size_t i = 0; i < after.size(); ++i) after[i] -= problem.axes()[i].output_padding;

    const auto build = [&]<typename Primitive>(std::in_place_type_t<Primitive>) {
      const typename Primitive::primitive_desc description(
          typename Primitive::desc(dnnl::prop_kind::forward_inference, algorithm, wanted.source,
                                   wanted.weights, wanted.destination, strides, dilations, before,
                                   after),
          engine_);
      implementation_ = description.impl_info_str();
      Assemble(workload, mode, plain,
               {description.src_desc(), description.weights_desc(), description.dst_desc()},
               Primitive(description));
    };
    if (workload.transposed()) {
      build(std::in_place_type<dnnl::deconvolution_forward>);
    } else {
      build(std::in_place_type<dnnl::convolution_forward>);
    }
    for (Step& step : beforehand_) step.primitive.execute(stream_, step.arguments);
    stream_.wait();
  }

  void Run() override {
    for (Step& step : timed_) step.primitive.execute(stream_, step.arguments);
    stream_.wait();
  }

  std::span<const float> Output() override {
    for (Step& step : afterwards_) step.primitive.execute(stream_, step.arguments);
    stream_.wait();
    return AsFloats(output_, floats_);
  }

  std::string Implementation() const override { return implementation_; }

 private:
  void Assemble(const Workload& workload, Mode mode, const Descriptors& plain,
                const Descriptors& chosen, dnnl::primitive primitive) {
    const auto here = [&](const memory::desc& descriptor, const Tensor& tensor) {
      return memory(descriptor, engine_, const_cast<std::byte*>(tensor.data()));
    };
    const auto bring = [&](const memory& from, const memory::desc& descriptor) {
      if (from.get_desc() == descriptor) return from;
      memory to(descriptor, engine_);
      std::vector<Step>& steps = mode == Mode::kAny ? beforehand_ : timed_;
      steps.push_back({dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
      return to;
    };
    const memory source = bring(here(plain.source, workload.input), chosen.source);
    const memory weights = bring(here(plain.weights, workload.weight), chosen.weights);
    const memory result = here(plain.destination, output_);
    const bool direct = plain.destination == chosen.destination;
    const memory destination = direct ? result : memory(chosen.destination, engine_);
    timed_.push_back(
        {std::move(primitive),
         {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, destination}}});
    if (!direct) {
      std::vector<Step>& steps = mode == Mode::kOneShot ? timed_ : afterwards_;
      steps.push_back({dnnl::reorder(destination, result),
                       {{DNNL_ARG_FROM, destination}, {DNNL_ARG_TO, result}}});
    }
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  Tensor output_;
  std::vector<float> floats_;
  std::string implementation_;
  std::vector<Step> beforehand_, timed_, afterwards_;
};

Prepared Prepare(const Workload& workload, Mode mode, dnnl::algorithm algorithm) {
  try {
    auto runner = std::make_unique<OneDnnRunner>(workload, mode, algorithm);
    if (runner->Implementation().starts_with("ref") &&
        workload.problem.multiply_adds() > kMostForReferenceLoops) {
      return absl::UnimplementedError("only its reference loops compute this layer");
    }
    return runner;
  } catch (const dnnl::error& error) {
    return absl::UnimplementedError(error.what());
  }
}

dnnl::algorithm Direct(const Workload& workload) {
  return workload.transposed() ? dnnl::algorithm::deconvolution_direct
                               : dnnl::algorithm::convolution_direct;
}

}  // namespace

Prepared PrepareOneDnnPlain(const Workload& workload) {
  return Prepare(workload, Mode::kPlain, Direct(workload));
}
Prepared PrepareOneDnnOneShot(const Workload& workload) {
  return Prepare(workload, Mode::kOneShot, Direct(workload));
}
Prepared PrepareOneDnnAny(const Workload& workload) {
  return Prepare(workload, Mode::kAny, Direct(workload));
}
Prepared PrepareOneDnnWinograd(const Workload& workload) {
  if (workload.transposed()) return absl::UnimplementedError("transposed");
  return Prepare(workload, Mode::kAny, dnnl::algorithm::convolution_winograd);
}

}  // namespace convserve::bench
