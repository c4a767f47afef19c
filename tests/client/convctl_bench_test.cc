// convctl bench: the command line, the two reports, and what ends it.
#include <stop_token>
#include <thread>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/client/convctl_harness.h"
#include "tests/client/fake_server.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using testing::Convctl;
using testing::Embedded;
using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;

TEST(ConvctlBench, MeasuresAndVerifies) {
  const Outcome outcome = Embedded({"bench", "--requests", "50", "--verify", "--concurrency", "4",
                                    "--request", "4*tiny", "--request", "small"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("closed loop, 4 in flight, 1 connection"), HasSubstr("p99.9"),
                    HasSubstr("\nall "), HasSubstr("\ntiny "), HasSubstr("\nsmall "),
                    HasSubstr("all as computed here, bit by bit"), HasSubstr("% of the time")));
}

TEST(ConvctlBench, ReportsInJson) {
  const Outcome outcome = Embedded({"--json", "bench", "--rate", "1000", "--requests", "40",
                                    "--request", "3*tiny", "--request", "1,2,8,8:2,2,3,3"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const auto json = outcome.json();
  EXPECT_EQ(json["loop"], "open");
  EXPECT_EQ(json["intended_rate"], 1000);
  EXPECT_EQ(json["answered"], 40);
  EXPECT_EQ(json["wrong"], 0);
  EXPECT_TRUE(json["errors"].empty());
  EXPECT_GT(json["rate"], 0);
  EXPECT_GT(json["megabytes_per_second"], 0);
  EXPECT_LE(json["latency_ms"]["p50"], json["latency_ms"]["p99_9"]);
  EXPECT_LE(json["latency_ms"]["p99_9"], json["latency_ms"]["max"]);
  EXPECT_GT(json["server_share"], 0);
  EXPECT_EQ(json["kinds"][0]["request"], "tiny");
  EXPECT_EQ(json["kinds"][0]["answered"], 30);
  EXPECT_EQ(json["kinds"][1]["answered"], 10);
}

TEST(ConvctlBench, CountsErrorsByCode) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call % 2 == 0) return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full\nhouse");
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const Outcome text =
      Convctl({"--server", server.address(), "bench", "--requests", "10", "--request", "tiny"});
  EXPECT_EQ(text.exit_code, 0) << text;
  EXPECT_THAT(text.out, HasSubstr("\nerrors  5 RESOURCE_EXHAUSTED: full\\x0ahouse\n"));
  const Outcome json = Convctl(
      {"--json", "--server", server.address(), "bench", "--requests", "10", "--request", "tiny"});
  EXPECT_EQ(json.json()["errors"]["RESOURCE_EXHAUSTED"], 5);
  EXPECT_EQ(json.json()["answered"], 5);
}

TEST(ConvctlBench, WrongResultsAreAFailure) {
  FakeServer server([](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.input();
    return grpc::Status::OK;
  });
  const Outcome outcome = Convctl({"--server", server.address(), "bench", "--requests", "3",
                                   "--request", "1,1,2,2:1,1,2,2", "--verify"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("results 3 WRONG"));
  EXPECT_THAT(outcome.err, HasSubstr("3 results are wrong"));
}

TEST(ConvctlBench, FailedCallsGiveTheExitCodeOfTheMostFrequentError) {
  const struct {
    grpc::StatusCode often, once;
    int exit_code;
    std::string message;
  } rows[] = {
      {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::OK, 4,
       "4 of 6 requests failed, most with UNAVAILABLE"},
      {grpc::StatusCode::INTERNAL, grpc::StatusCode::DEADLINE_EXCEEDED, 1,
       "5 of 6 requests failed, most with INTERNAL"},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::OK, 0, ""},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::RESOURCE_EXHAUSTED, 3,
       "6 of 6 requests failed, most with RESOURCE_EXHAUSTED"},
  };
  for (const auto& row : rows) {
    // Call 1 is the trial; of the six that follow two differ, or one beside an answer.
    FakeServer server([&](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
      *response->mutable_output() = request.weight();
      if (call == 1) return grpc::Status::OK;
      if (call == 2) return grpc::Status(row.once, "once");
      if (call == 3 && row.once != row.often) return grpc::Status::OK;
      return grpc::Status(row.often, "often");
    });
    const Outcome outcome =
        Convctl({"--server", server.address(), "bench", "--requests", "6", "--request", "tiny"});
    EXPECT_EQ(outcome.exit_code, row.exit_code) << outcome;
    EXPECT_EQ(outcome.err, row.message.empty() ? "" : "convctl: " + row.message + "\n");
    EXPECT_THAT(outcome.out, HasSubstr("\nerrors  "));
  }
}

TEST(ConvctlBench, AnInterruptPrintsWhatWasMeasured) {
  std::stop_source stop;
  FakeServer server([&](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call == 20) stop.request_stop();
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const Outcome outcome =
      Convctl({"--server", server.address(), "bench", "--duration", "60m", "--request", "tiny"}, "",
              {.stop = stop.get_token()});
  EXPECT_EQ(outcome.exit_code, 130) << outcome;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\nall "), Not(HasSubstr("\nerrors"))));
  EXPECT_THAT(outcome.err, HasSubstr("interrupted"));
}

TEST(ConvctlBench, SaysAtOnceThatNobodyIsThere) {
  const Outcome outcome = Convctl({"--server", "unix:/no/such/socket", "bench"});
  EXPECT_EQ(outcome.exit_code, 4) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("cannot reach a server"));
}

TEST(ConvctlBench, ExplainsMistakes) {
  EXPECT_THAT(Embedded({"bench", "--request", "huge"}).err, HasSubstr("--request: expected tiny"));
  EXPECT_EQ(Embedded({"bench", "--request", "huge"}).exit_code, 2);
  for (const char* rate : {"0", "nan", "inf", "-1", "1e8", "fast"}) {
    const Outcome outcome = Embedded({"bench", "--requests", "1", "--rate", rate});
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr("--rate: expected 0.001 to 10000000 requests a second"));
  }
  EXPECT_EQ(Embedded({"bench", "--request", "1,1,2:1,2,2"}).exit_code, 3);
}

TEST(ConvctlBench, CountsAreDecimalWholeNumbers) {
  const struct {
    std::string option, most;
  } rows[] = {{"--requests", "9223372036854775807"},
              {"--concurrency", "4096"},
              {"--connections", "64"},
              {"--attempts", "5"}};
  for (const auto& [option, most] : rows) {
    for (const std::string value :
         {"0", "-1", "0x2", "2.0", "1e1", "many", " 2", "9223372036854775808"}) {
      const Outcome outcome =
          Embedded({"bench", "--request", "tiny", fmt::format("{}={}", option, value)});
      EXPECT_EQ(outcome.exit_code, 2) << outcome;
      EXPECT_EQ(outcome.err,
                fmt::format("convctl: {}: expected a whole number from 1 to {}, got \"{}\"\n",
                            option, most, value));
    }
  }
  const Outcome outcome = Embedded({"--json", "bench", "--requests", "010", "--request", "tiny"});
  EXPECT_EQ(outcome.json()["answered"], 10);
}

}  // namespace
}  // namespace convserve
