#include "client/explain/frameworks.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace convserve {
namespace {

using Number = std::int64_t (*)(const Axis&);

constexpr Number kStride = [](const Axis& a) { return a.stride; };
constexpr Number kDilation = [](const Axis& a) { return a.dilation; };
constexpr Number kBegin = [](const Axis& a) { return a.padding_begin; };
constexpr Number kEnd = [](const Axis& a) { return a.padding_end; };
constexpr Number kOutputPadding = [](const Axis& a) { return a.output_padding; };

// How many cells TensorFlow's SAME puts before the input; nothing where it has another output size.
std::optional<std::int64_t> SameBegin(const Axis& axis, std::int64_t input, std::int64_t output) {
  if (output != (input - 1) / axis.stride + 1) return std::nullopt;
  const std::int64_t total = (output - 1) * axis.stride + axis.effective_kernel() - input;
  return std::max<std::int64_t>(0, total) / 2;
}

class Spelling {
 public:
  explicit Spelling(const Problem& problem) : problem_(problem) {}

  std::string PyTorch() const {
    std::string call =
        fmt::format("torch.nn.functional.conv{}{}d", Conv() ? "" : "_transpose", Rank());
    std::string x = ChannelsLast() ? fmt::format("x.movedim(-1, {})", Batched() ? 1 : 0) : "x";
    std::string w = "w";
    if (problem_.weight_layout() == WeightLayout::kChannelsLast) {
      w = fmt::format("w.permute({}, {}", Rank() + 1, Rank());
      for (std::size_t a = 0; a < Rank(); ++a) w += fmt::format(", {}", a);
      w += ")";
    }
    if (problem_.flip_kernel())
      w += Rank() == 1 ? ".flip(2)" : Rank() == 2 ? ".flip(2, 3)" : ".flip(2, 3, 4)";
    std::string options;
    if (problem_.has_bias()) options += ", b";
    Option(options, "stride", kStride, 1);
    Option(options, "dilation", kDilation, 1);
    std::string crop;
    if (Conv()) {
      const bool zeros = problem_.padding_mode() == PaddingMode::kZeros;
      if (zeros && Symmetric()) {
        Option(options, "padding", kBegin, 0);
      } else if (!All(kBegin, 0) || !All(kEnd, 0)) {
        if (problem_.padding_mode() == PaddingMode::kCircular && !Batched()) {
          x += ".unsqueeze(0)";  // which circular padding insists on
          crop = "[0]";
        }
        x = fmt::format(
            "torch.nn.functional.pad({}, ({}){})", x, TorchPadding(),
            zeros ? "" : fmt::format(", mode='{}'", ModeName("reflect", "replicate", "circular")));
      }
    } else if (Symmetric()) {
      Option(options, "padding", kBegin, 0);
      Option(options, "output_padding", kOutputPadding, 0);
    } else {
      Option(
          options, "output_padding", [](const Axis& a) { return Beyond(a); }, 0);
      crop = "[..., " + CropSlices() + "]";
    }
    if (problem_.groups() != 1) options += fmt::format(", groups={}", problem_.groups());
    std::string code = fmt::format("{}({}, {}{}){}", call, x, w, options, crop);
    if (ChannelsLast()) code += fmt::format(".movedim({}, -1)", Batched() ? 1 : 0);
    return code;
  }

  std::string Onnx() const {
    std::string code = Conv() ? "Conv" : "ConvTranspose";
    std::string attributes = fmt::format("kernel_shape=[{}], strides=[{}], dilations=[{}]",
                                         Numbers([](const Axis& a) { return a.kernel; }),
                                         Numbers(kStride), Numbers(kDilation));
    std::string before;
    const bool zeros = problem_.padding_mode() == PaddingMode::kZeros;
    if (zeros) {
      attributes += fmt::format(", pads=[{}, {}]", Numbers(kBegin), Numbers(kEnd));
    } else {
      before = fmt::format("Pad(mode=\"{}\", pads {} before and {} after), then ",
                           ModeName("reflect", "edge", "wrap"), Numbers(kBegin), Numbers(kEnd));
    }
    if (!Conv()) attributes += fmt::format(", output_padding=[{}]", Numbers(kOutputPadding));
    attributes += fmt::format(", group={}", problem_.groups());
    std::string text = fmt::format("{}{}({})", before, code, attributes);
    if (ChannelsLast()) text += "; Transpose x to channels first before and y back after";
    if (problem_.weight_layout() == WeightLayout::kChannelsLast) {
      text += "; Transpose w to channels first";
    }
    if (problem_.flip_kernel()) text += "; reverse w on its spatial axes";
    return text;
  }

  std::string TensorFlow() const {
    if (!Conv() && problem_.groups() != 1) {
      return fmt::format("no call: conv{}d_transpose has no groups; split the channels", Rank());
    }
    if (problem_.padding_mode() == PaddingMode::kReplicate ||
        problem_.padding_mode() == PaddingMode::kCircular) {
      return fmt::format(
          "no call: tf.pad has no {} mode; pad by gathering, then convolve with padding='VALID'",
          ModeName("", "replicate", "circular"));
    }
    const std::string x =
        ChannelsLast() ? "x" : fmt::format("tf.transpose(x, [{}])", ChannelsToEnd());
    std::string w = problem_.weight_layout() == WeightLayout::kChannelsLast
                        ? "w"
                        : fmt::format("tf.transpose(w, [{}])", WeightToEnd());
    if (problem_.flip_kernel()) w = fmt::format("tf.reverse({}, [{}])", w, SpatialAxes(0));
    return Conv() ? TensorFlowConv(x, w) : TensorFlowTranspose(x, w);
  }

  std::string SciPy() const {
    std::string w = "w";
    std::string prelude;
    if (!All(kDilation, 1)) {
      prelude = fmt::format("wd = numpy.zeros(({})); wd[{}] = w; ",
                            Trailing(Numbers([](const Axis& a) { return a.effective_kernel(); })),
                            Steps(kDilation));
      w = "wd";
    }
    if (Conv()) {
      std::string x = "x";
      if (!All(kBegin, 0) || !All(kEnd, 0)) {
        x = fmt::format("numpy.pad(x, [{}]{})", PaddingPairs(),
                        problem_.padding_mode() == PaddingMode::kZeros
                            ? ""
                            : fmt::format(", mode='{}'", ModeName("reflect", "edge", "wrap")));
      }
      return fmt::format("{}scipy.signal.{}({}, {}, mode='valid'){}", prelude,
                         problem_.flip_kernel() ? "convolve" : "correlate", x, w,
                         All(kStride, 1) ? "" : "[" + Steps(kStride) + "]");
    }
    std::string x = "x";
    if (!All(kStride, 1)) {
      prelude +=
          fmt::format("xs = numpy.zeros(({})); xs[{}] = x; ",
                      Trailing(Numbers([](const Axis& a) { return (a.input - 1) * a.stride + 1; })),
                      Steps(kStride));
      x = "xs";
    }
    std::string full = fmt::format("scipy.signal.{}({}, {}, mode='full')",
                                   problem_.flip_kernel() ? "correlate" : "convolve", x, w);
    const bool beyond = std::any_of(problem_.axes().begin(), problem_.axes().end(),
                                    [](const Axis& a) { return Beyond(a) > 0; });
    if (beyond) {
      std::string pairs;
      for (const Axis& axis : problem_.axes()) {
        pairs += fmt::format("{}(0, {})", pairs.empty() ? "" : ", ", Beyond(axis));
      }
      full = fmt::format("numpy.pad({}, [{}])", full, pairs);
    }
    const bool cropped = !All(kBegin, 0) || !All(kEnd, 0);
    return prelude + full + (cropped ? "[" + CropSlices() + "]" : "");
  }

 private:
  bool Conv() const { return problem_.operation() == Operation::kConv; }
  std::size_t Rank() const { return problem_.axes().size(); }
  bool Batched() const { return problem_.input_shape().size() == Rank() + 2; }
  bool ChannelsLast() const { return problem_.tensor_layout() == TensorLayout::kChannelsLast; }

  bool All(Number number, std::int64_t value) const {
    return std::all_of(problem_.axes().begin(), problem_.axes().end(),
                       [&](const Axis& axis) { return number(axis) == value; });
  }

  bool Symmetric() const {
    return std::all_of(problem_.axes().begin(), problem_.axes().end(),
                       [](const Axis& a) { return a.padding_begin == a.padding_end; });
  }

  // Output padding that reaches beyond the uncropped result.
  static std::int64_t Beyond(const Axis& axis) {
    return std::max<std::int64_t>(0, axis.output_padding - axis.padding_end);
  }

  std::string Joined(std::string (*text)(const Axis&), bool reversed = false) const {
    std::vector<std::string> parts;
    for (const Axis& axis : problem_.axes()) parts.push_back(text(axis));
    if (reversed) std::reverse(parts.begin(), parts.end());
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  std::string Numbers(Number number) const {
    std::vector<std::int64_t> numbers;
    for (const Axis& axis : problem_.axes()) numbers.push_back(number(axis));
    return fmt::format("{}", fmt::join(numbers, ", "));
  }

  // A Python tuple of one needs a comma.
  std::string Trailing(const std::string& list) const { return Rank() == 1 ? list + "," : list; }

  std::string Steps(Number number) const {
    std::string steps;
    for (const Axis& axis : problem_.axes()) {
      steps += fmt::format("{}::{}", steps.empty() ? "" : ", ", number(axis));
    }
    return steps;
  }

  void Option(std::string& options, std::string_view name, Number number,
              std::int64_t usual) const {
    if (All(number, usual)) return;
    const std::int64_t first = number(problem_.axes()[0]);
    options += All(number, first) ? fmt::format(", {}={}", name, first)
                                  : fmt::format(", {}=({})", name, Numbers(number));
  }

  std::string_view ModeName(std::string_view reflect, std::string_view replicate,
                            std::string_view circular) const {
    return problem_.padding_mode() == PaddingMode::kReflect     ? reflect
           : problem_.padding_mode() == PaddingMode::kReplicate ? replicate
                                                                : circular;
  }

  std::string TorchPadding() const {  // the last axis first
    return Joined(
        [](const Axis& a) { return fmt::format("{}, {}", a.padding_begin, a.padding_end); }, true);
  }

  std::string PaddingPairs() const {
    return Joined(
        [](const Axis& a) { return fmt::format("({}, {})", a.padding_begin, a.padding_end); });
  }

  std::string CropSlices() const {
    return Joined([](const Axis& a) {
      return fmt::format("{}:{}", a.padding_begin, a.padding_begin + a.output);
    });
  }

  std::string ChannelsToEnd() const {
    std::string order = Batched() ? "0" : "";
    const std::size_t channel = Batched() ? 1 : 0;
    for (std::size_t a = 0; a < Rank(); ++a) {
      order += fmt::format("{}{}", order.empty() ? "" : ", ", channel + 1 + a);
    }
    return fmt::format("{}, {}", order, channel);
  }

  std::string WeightToEnd()
      const {  // [out, in, kernel...] to [kernel..., in, out], and alike for a transposed one
    std::string order;
    for (std::size_t a = 0; a < Rank(); ++a) order += fmt::format("{}, ", a + 2);
    return order + "1, 0";
  }

  std::string SpatialAxes(std::size_t first) const {
    std::string axes;
    for (std::size_t a = 0; a < Rank(); ++a) {
      axes += fmt::format("{}{}", axes.empty() ? "" : ", ", first + a);
    }
    return axes;
  }

  bool IsSame() const {
    return std::all_of(problem_.axes().begin(), problem_.axes().end(), [&](const Axis& a) {
      return a.padding_begin ==
             (Conv() ? SameBegin(a, a.input, a.output) : SameBegin(a, a.output, a.input));
    });
  }

  std::string ExplicitPadding() const {
    return "[[0, 0], " + Joined([](const Axis& a) {
             return fmt::format("[{}, {}]", a.padding_begin, a.padding_end);
           }) +
           ", [0, 0]]";
  }

  std::string TensorFlowConv(std::string x, const std::string& w) const {
    if (!Batched()) x = fmt::format("({})[tf.newaxis]", x);
    std::string padding = "'VALID'";
    const bool zeros = problem_.padding_mode() == PaddingMode::kZeros;
    const bool padded = !All(kBegin, 0) || !All(kEnd, 0);
    if (padded && zeros && IsSame()) {
      padding = "'SAME'";
    } else if (padded && zeros && Rank() == 2) {
      padding = ExplicitPadding();
    } else if (padded) {
      x = fmt::format("tf.pad({}, {}{})", x, ExplicitPadding(), zeros ? "" : ", mode='REFLECT'");
    }
    std::string code = fmt::format("tf.nn.convolution({}, {}, strides=[{}], padding={}", x, w,
                                   Numbers(kStride), padding);
    if (padding.front() == '[') {
      code = fmt::format("tf.nn.conv2d({}, {}, strides=[{}], padding={}", x, w, Numbers(kStride),
                         padding);
    }
    if (!All(kDilation, 1)) code += fmt::format(", dilations=[{}]", Numbers(kDilation));
    return code + ")" + (problem_.has_bias() ? " + b" : "") + Back();
  }

  std::string TensorFlowTranspose(std::string x, const std::string& w) const {
    const bool restores = std::all_of(problem_.axes().begin(), problem_.axes().end(),
                                      [](const Axis& a) { return a.output_padding < a.stride; });
    std::string padding;
    if (IsSame()) {
      padding = "'SAME'";
    } else if (All(kBegin, 0) && All(kEnd, 0) && restores) {
      padding = "'VALID'";
    } else if (Rank() == 2 && restores) {
      padding = ExplicitPadding();
    } else {
      return fmt::format("no single call: use padding='VALID', then crop to [{}]", CropSlices());
    }
    if (!Batched()) x = fmt::format("({})[tf.newaxis]", x);
    std::string code = fmt::format(
        "tf.nn.conv{}d_transpose({}, {}, output_shape=[{}, {}, {}], strides=[{}], padding={}",
        Rank(), x, w, problem_.batch(), Numbers([](const Axis& a) { return a.output; }),
        problem_.output_channels(), Numbers(kStride), padding);
    if (!All(kDilation, 1)) code += fmt::format(", dilations=[{}]", Numbers(kDilation));
    return code + ")" + (problem_.has_bias() ? " + b" : "") + Back();
  }

  std::string Back() const {
    std::string text;
    if (!Batched()) text += ", of which [0] is meant";
    if (!ChannelsLast()) text += "; its result has the channels last";
    return text;
  }

  const Problem& problem_;
};

}  // namespace

std::vector<FrameworkCall> FrameworkCalls(const Problem& problem) {
  const Spelling spelling(problem);
  return {{"PyTorch", spelling.PyTorch()},
          {"ONNX", spelling.Onnx()},
          {"TensorFlow", spelling.TensorFlow()},
          {"SciPy", spelling.SciPy()}};
}

std::vector<std::string> FrameworkWarnings(const Problem& problem) {
  std::vector<std::string> warnings;
  const bool conv = problem.operation() == Operation::kConv;
  const auto any = [&](auto&& holds) {
    return std::any_of(problem.axes().begin(), problem.axes().end(), holds);
  };
  for (const Axis& a : problem.axes()) {
    if (!conv || problem.padding_mode() != PaddingMode::kZeros) break;
    const std::int64_t same = SameBegin(a, a.input, a.output).value_or(a.padding_begin);
    const std::int64_t later = a.padding_begin - same;
    if (later == 0) continue;
    warnings.push_back(fmt::format(
        "TensorFlow's SAME gives this output size too, but other values: it begins with {} cells "
        "of padding, so its kernel starts {} {} than with {}.",
        same, std::abs(later), later > 0 ? "later" : "earlier", a.padding_begin));
    break;
  }
  if (any([](const Axis& a) { return a.padding_begin != a.padding_end; })) {
    warnings.push_back(
        "PyTorch's layers take one padding for both ends; this one differs between beginning and "
        "end, hence the extra step.");
  }
  if (!conv && any([](const Axis& a) { return a.padding_begin > 0 || a.padding_end > 0; })) {
    warnings.push_back(
        "In a transposed convolution padding crops the result, so more padding means a smaller "
        "output. It undoes the padding of the convolution that this one reverses.");
  }
  if (!conv && any([](const Axis& a) { return a.output_padding > 0; })) {
    warnings.push_back(
        "Output padding adds cells at the end only. They are no zeros by definition: where padding "
        "crops the end, they show what was cropped.");
  }
  if (!conv && problem.groups() != 1) {
    warnings.push_back("TensorFlow has no groups in its transposed convolutions.");
  }
  if (any([](const Axis& a) { return a.stride > 1; }) &&
      any([](const Axis& a) { return a.dilation > 1; })) {
    warnings.push_back("Keras layers refuse a stride and a dilation that both exceed 1.");
  }
  if (problem.padding_mode() == PaddingMode::kReplicate) {
    warnings.push_back("NumPy and ONNX call this padding edge; TensorFlow has none like it.");
  }
  if (problem.padding_mode() == PaddingMode::kCircular) {
    warnings.push_back(
        "NumPy and ONNX (operator set 19+) call this padding wrap; TensorFlow has none like it.");
  }
  if (problem.flip_kernel()) {
    warnings.push_back(
        "The kernel is flipped, as in SciPy's convolve. PyTorch, ONNX and TensorFlow never flip "
        "it.");
  } else {
    warnings.push_back(
        "scipy.signal.convolve flips the kernel; PyTorch, ONNX, TensorFlow and this service do "
        "not, so SciPy's counterpart of a convolution is correlate, of a transposed one convolve.");
  }
  return warnings;
}

}  // namespace convserve
