#include <map>

#include "client/bench/workload.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/client/fake_server.h"

namespace convserve::bench {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;

RequestKind Kind(const std::string& text) {
  auto kind = ParseRequestKind(text);
  EXPECT_TRUE(kind.ok()) << kind.status();
  return kind.ok() ? *kind : RequestKind();
}

TEST(RequestKind, IsANameOrShapesWithOptions) {
  EXPECT_EQ(Kind("tiny").input, (Shape{1, 1, 1, 1}));
  EXPECT_EQ(Kind("7*large").weight, 7);
  const RequestKind conv =
      Kind("2*1,4,9:8,2,3:stride=2:padding=1,2:dilation=3:groups=2:type=uint8");
  EXPECT_EQ(conv.weight, 2);
  EXPECT_EQ(conv.name, "1,4,9:8,2,3:stride=2:padding=1,2:dilation=3:groups=2:type=uint8");
  EXPECT_EQ(conv.type, DataType::kUInt8);
  const auto& parameters = std::get<ConvParameters>(conv.parameters);
  EXPECT_EQ(parameters.stride, AxisList{2});
  EXPECT_EQ(parameters.padding, (AxisList{1, 2}));
  EXPECT_EQ(parameters.dilation, AxisList{3});
  EXPECT_EQ(parameters.groups, 2);
  const RequestKind transpose = Kind("1,8,4:8,4,4:transpose:stride=2");
  EXPECT_EQ(std::get<ConvTransposeParameters>(transpose.parameters).stride, AxisList{2});
}

TEST(RequestKind, SaysWhatItExpected) {
  const std::map<std::string, std::string> cases = {
      {"huge", "expected tiny, small, medium, large or the shapes"},
      {"0*tiny", "expected 1 to 1000000 before the *"},
      {"x*tiny", "expected 1 to 1000000 before the *"},
      {"1,a:2", "shape of the input: expected whole numbers"},
      {"1,2:", "shape of the weight: expected whole numbers"},
      {"tiny:type=int8", "tiny takes no options: expected tiny alone, or the shapes"},
      {"1,1,2:1,1,2:stride=x", "stride: "},
      {"1,1,2:1,1,2:type=float31", "did you mean float32"},
      {"1,1,2:1,1,2:groups=many", "groups: expected a number"},
      {"1,1,2:1,1,2:speed=9", "expected stride=, padding="}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(std::string(ParseRequestKind(text).status().message()), HasSubstr(message));
  }
}

TEST(Workload, RefusesWhatIsNoConvolution) {
  const auto workload = Workload::Make({Kind("1,3,4,4:1,2,3,3")}, false);
  EXPECT_EQ(workload.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Workload, MixesKindsByTheirWeights) {
  const auto workload = Workload::Make({Kind("3*tiny"), Kind("tiny"), Kind("2*tiny")}, false);
  ASSERT_TRUE(workload.ok()) << workload.status();
  std::map<std::size_t, int> counts;
  for (std::int64_t number = 0; number < 600; ++number) ++counts[workload->KindOf(number)];
  EXPECT_EQ(counts, (std::map<std::size_t, int>{{0, 300}, {1, 100}, {2, 200}}));
}

TEST(Workload, KnowsARightResultFromAWrongOne) {
  const auto server = Server::Start({.listen = {"127.0.0.1:0"}});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto workload = Workload::Make(
      {Kind("small"), Kind("2,4,9:3,4,3:type=int8"), Kind("1,2,5,5:2,3,4,4:transpose:stride=3"),
       Kind("1,2,5,5:4,2,2,2:type=uint8"), Kind("1,2,5,5:4,2,2,2:type=float16")},
      true);
  ASSERT_TRUE(workload.ok()) << workload.status();
  const ConvolutionClient client((*server)->addresses()[0]);
  for (std::int64_t number = 0; number < 30; ++number) {
    const Outcome outcome = workload->Send(client, number, {});
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_FALSE(outcome.wrong) << number;
    EXPECT_GT(outcome.compute.count(), 0);
    EXPECT_GT(outcome.bytes, 0);
  }

  FakeServer liar([](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.input();
    return grpc::Status::OK;
  });
  const ConvolutionClient deceived(liar.address());
  const auto convolutions =
      Workload::Make({Kind("small"), Kind("1,2,5,5:4,2,2,2:type=uint8")}, true);
  ASSERT_TRUE(convolutions.ok()) << convolutions.status();
  EXPECT_TRUE(convolutions->Send(deceived, 0, {}).wrong);
  EXPECT_TRUE(convolutions->Send(deceived, 1, {}).wrong);
}

}  // namespace
}  // namespace convserve::bench
