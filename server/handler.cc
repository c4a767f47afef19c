#include "server/handler.h"

#include <algorithm>
#include <span>
#include <utility>

#include "convserve/v1/convolution.pb.h"
#include "core/convolve.h"
#include "core/describe.h"
#include "core/explain.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "proto/status.h"
#include "server/saturating_add.h"

namespace convserve {
namespace {

using Clock = std::chrono::steady_clock;

// Room in a response for everything but the elements of its tensor: shape, execution, tags.
constexpr std::int64_t kEnvelopeBytes = 1024;

// What one listed contribution may take: in the response, and in memory beside it.
constexpr std::int64_t kContributionBytes = 256;

absl::Status WithLimitReason(absl::Status status) {
  if (status.code() == absl::StatusCode::kResourceExhausted) SetReason(status, "REQUEST_LIMIT");
  return status;
}

std::int64_t EncodedOutputBytes(const Problem& problem, bool as_values) {
  if (!as_values) return problem.output_bytes();
  constexpr std::int64_t kWireBytes = sizeof(double);
  return problem.output_bytes() / SizeOf(problem.output_type()) * kWireBytes;
}

// What decoding `values` allocates beside the message.
std::int64_t DecodedBytes(const v1::Tensor& tensor) {
  return tensor.values_size() * SizeOf(FromProto(tensor.data_type()));
}

template <typename Request>
std::int64_t RequestBytes(const Request& request) {
  return static_cast<std::int64_t>(request.ByteSizeLong()) + DecodedBytes(request.input()) +
         DecodedBytes(request.weight()) + DecodedBytes(request.bias());
}

}  // namespace

Handler::Handler(Options options)
    : options_(std::move(options)),
      limits_{.max_output_bytes = options_.max_message_bytes - kEnvelopeBytes,
              .max_multiply_adds = options_.max_multiply_adds},
      max_contributions_(std::clamp<std::int64_t>(
          (options_.max_message_bytes - kEnvelopeBytes) / kContributionBytes, 1,
          kMaxContributions)) {}

absl::StatusOr<Plan> Handler::PlanOf(const DecodedProblem& decoded) const {
  auto problem = MakeProblem(decoded, limits_);
  if (!problem.ok()) return WithLimitReason(problem.status());
  return MakePlan(*std::move(problem), options_.algorithm);
}

absl::StatusOr<Work> Handler::Prepare(const ReceivedRequest& request) const {
  auto plan = PlanOf(request.Decode());
  if (!plan.ok()) return plan.status();
  const Problem& problem = plan->problem();
  const bool as_values = request.wants_values();
  const std::int64_t encoded = EncodedOutputBytes(problem, as_values);
  if (encoded > limits_.max_output_bytes) {
    return WithLimitReason(absl::ResourceExhaustedError(
        fmt::format("output: expected at most {} bytes, got {} ({} as values)",
                    limits_.max_output_bytes, encoded, ToString(problem.output_shape()))));
  }
  std::int64_t bytes = SaturatingAdd(request.memory_bytes(), encoded);
  if (as_values) bytes += problem.output_bytes();
  bytes = SaturatingAdd(bytes, plan->workspace_bytes());
  return Work{*std::move(plan), bytes, request.message_bytes()};
}

absl::StatusOr<Work> Handler::Prepare(const v1::DescribeRequest& request) const {
  auto plan = PlanOf(FromProto(request));
  if (!plan.ok()) return plan.status();
  return Work{*std::move(plan), 0, 0};
}

absl::StatusOr<Work> Handler::Prepare(const v1::ExplainRequest& request) const {
  auto plan = PlanOf(FromProto(request));
  if (!plan.ok()) return plan.status();
  const std::int64_t message =
      request.has_conv() ? RequestBytes(request.conv()) : RequestBytes(request.conv_transpose());
  return Work{*std::move(plan), message + 2 * max_contributions_ * kContributionBytes,
              static_cast<std::int64_t>(request.ByteSizeLong())};
}

absl::StatusOr<ConvResult> Handler::Run(const Work& work, ReceivedRequest& request,
                                        const RunContext& context) const {
  const Problem& problem = work.plan.problem();
  const Operands operands = request.TakeOperands(context.stop);
  if (context.message_freed) context.message_freed(request.message_bytes());
  if (context.stop.stop_requested()) return absl::CancelledError("a stop was requested");
  const auto start = Clock::now();
  Tensor output(problem.output_type(), problem.output_shape());
  const absl::Status status =
      Execute(work.plan, operands, {output.data(), static_cast<std::size_t>(output.byte_count())},
              context.stop);
  if (!status.ok()) return status;
  return ConvResult{std::move(output),
                    {.algorithm = std::string(work.plan.algorithm_name()),
                     .instruction_set = std::string(InstructionSet()),
                     .queue = start - context.arrival,
                     .compute = Clock::now() - start}};
}

absl::StatusOr<v1::DescribeResponse> Handler::Run(const Work& work, const v1::DescribeRequest&,
                                                  const RunContext&) const {
  const Problem& problem = work.plan.problem();
  Description description{.operation = problem.operation(),
                          .output_shape = problem.output_shape(),
                          .output_type = problem.output_type(),
                          .axes = {},
                          .multiply_adds = problem.multiply_adds(),
                          .input_bytes = problem.input_bytes(),
                          .weight_bytes = problem.weight_bytes(),
                          .output_bytes = problem.output_bytes(),
                          .workspace_bytes = work.plan.workspace_bytes(),
                          .algorithm = std::string(work.plan.algorithm_name())};
  for (std::size_t axis = 0; axis < problem.axes().size(); ++axis) {
    description.axes.push_back(DescribeAxis(problem, axis));
  }
  return ToProto(description);
}

absl::StatusOr<v1::ExplainResponse> Handler::Run(const Work& work,
                                                 const v1::ExplainRequest& request,
                                                 const RunContext& context) const {
  const DecodedOperands decoded(request);
  const auto explanation =
      Explain(work.plan.problem(),
              absl::MakeConstSpan(request.output_index().data(),
                                  static_cast<std::size_t>(request.output_index_size())),
              decoded.operands(), {.max_contributions = max_contributions_, .stop = context.stop});
  if (!explanation.ok()) return explanation.status();
  return ToProto(*explanation);
}

}  // namespace convserve
