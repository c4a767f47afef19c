#include <cstdint>

#include "opencv2/core.hpp"
#include "opencv2/imgproc.hpp"
#include "tests/bench/rivals/rivals.h"

namespace convserve::bench {
namespace {

// Filters of more channels are no image filters any more.
constexpr std::int64_t kMostPlaneFilters = 16;

cv::Mat Plane(const Tensor& tensor, std::int64_t index, std::int64_t height, std::int64_t width) {
  float* first = const_cast<float*>(tensor.As<float>()) + index * height * width;
  return cv::Mat(static_cast<int>(height), static_cast<int>(width), CV_32F, first);
}

bool KeepsTheSize(const Axis& axis) {
  return axis.stride == 1 && axis.dilation == 1 && axis.kernel % 2 == 1 &&
         axis.padding_begin == axis.kernel / 2 && axis.padding_end == axis.kernel / 2;
}

class Filter2dRunner : public Runner {
 public:
  explicit Filter2dRunner(const Workload& workload)
      : workload_(workload),
        output_(DataType::kFloat32, workload.problem.output_shape()),
        product_(static_cast<int>(workload.problem.axes()[0].output),
                 static_cast<int>(workload.problem.axes()[1].output), CV_32F) {}

  void Run() override {
    const Problem& problem = workload_.problem;
    const auto [unused, y, x] = workload_.axes();
    const std::int64_t inputs = workload_.group_inputs();
    const std::int64_t outputs = workload_.group_outputs();
    for (std::int64_t n = 0; n < problem.batch(); ++n) {
      for (std::int64_t m = 0; m < problem.output_channels(); ++m) {
        cv::Mat sum = Plane(output_, n * problem.output_channels() + m, y.output, x.output);
        for (std::int64_t c = 0; c < inputs; ++c) {
          const std::int64_t channel = m / outputs * inputs + c;
          const cv::Mat plane =
              Plane(workload_.input, n * problem.input_channels() + channel, y.input, x.input);
          const cv::Mat filter = Plane(workload_.weight, m * inputs + c, y.kernel, x.kernel);
          cv::filter2D(plane, c == 0 ? sum : product_, CV_32F, filter, cv::Point(-1, -1), 0,
                       cv::BORDER_CONSTANT);
          if (c > 0) cv::add(sum, product_, sum);
        }
      }
    }
  }

  std::span<const float> Output() override {
    return {output_.As<float>(), static_cast<std::size_t>(output_.size())};
  }

 private:
  const Workload& workload_;
  Tensor output_;
  cv::Mat product_;
};

}  // namespace

Prepared PrepareFilter2d(const Workload& workload) {
  const Problem& problem = workload.problem;
  if (workload.transposed() || problem.axes().size() != 2 || !KeepsTheSize(problem.axes()[0]) ||
      !KeepsTheSize(problem.axes()[1]) ||
      problem.output_channels() * workload.group_inputs() > kMostPlaneFilters) {
    return absl::UnimplementedError("not an image filter");
  }
  return std::make_unique<Filter2dRunner>(workload);
}

}  // namespace convserve::bench
