// What the operators' port tells, and that the dashboard, the alerts and Prometheus itself
// understand it.
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "core/aligned_buffer.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/certificates.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/raw_connection.h"
#include "tests/server/scratch.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

class MetricsTest : public ::testing::Test {
 protected:
  std::string Scrape() {
    const HttpAnswer answer = HttpAsk(server_->metrics_address(), "/metrics");
    EXPECT_EQ(answer.code, 200);
    return answer.body;
  }

  // The value of a series, by its name and labels as they are printed; -1 where there is none.
  double Value(const std::string& series) {
    std::istringstream lines(Scrape());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
    }
    return -1;
  }

  std::unique_ptr<Server> server_ = StartServer({.listen = {"127.0.0.1:0"},
                                                 .threads = 2,
                                                 .memory_limit = 1 << 30,
                                                 .max_requests = 7,
                                                 .metrics_listen = "127.0.0.1:0"});
  Caller caller_{ChannelTo(server_->addresses()[0])};
};

std::string SourceFile(const std::string& path) {
  return FileText(std::string(CONVSERVE_SOURCE_DIR "/") + path);
}

TEST_F(MetricsTest, CallsAreCountedByMethodAndCode) {
  v1::ConvResponse response;
  EXPECT_TRUE(caller_.Conv(SmallConv(), response).ok());
  EXPECT_TRUE(caller_.Conv(SmallConv(), response).ok());
  EXPECT_FALSE(caller_.Conv({}, response).ok());
  EXPECT_EQ(Value("convserve_calls_started_total{method=\"Conv\"}"), 3);
  EXPECT_EQ(Value("convserve_calls_finished_total{code=\"OK\",method=\"Conv\"}"), 2);
  EXPECT_EQ(Value("convserve_calls_finished_total{code=\"INVALID_ARGUMENT\",method=\"Conv\"}"), 1);
  EXPECT_EQ(Value("convserve_calls_finished_total{code=\"OK\",method=\"Explain\"}"), 0);
  EXPECT_EQ(Value("convserve_rejections_total{reason=\"INVALID_ARGUMENT\"}"), 1);
}

// A call that ends without having sent a message.
grpc::StatusCode CallWithoutAMessage(const std::shared_ptr<grpc::Channel>& channel,
                                     const std::string& path) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto step = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok);
  };
  const auto stream = stub.PrepareCall(&context, path, &queue);
  stream->StartCall(nullptr);
  step();
  stream->WritesDone(nullptr);
  step();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  step();
  return status.error_code();
}

TEST_F(MetricsTest, CallsOfNoMethodAndWithoutAMessageAreCounted) {
  const auto channel = ChannelTo(server_->addresses()[0]);
  for (const char* path : {"/convserve.v1.ConvolutionService/Correlate", "/other.Service/Conv"}) {
    EXPECT_EQ(CallWithoutAMessage(channel, path), grpc::StatusCode::UNIMPLEMENTED) << path;
  }
  EXPECT_EQ(Value("convserve_calls_finished_total{code=\"UNIMPLEMENTED\",method=\"unknown\"}"), 2);
  EXPECT_EQ(CallWithoutAMessage(channel, "/convserve.v1.ConvolutionService/Conv"),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Value("convserve_calls_finished_total{code=\"INVALID_ARGUMENT\",method=\"Conv\"}"), 1);
}

TEST_F(MetricsTest, CallsWhoseMessageGrpcDoesNotTakeAreCounted) {
  server_ = StartServer(
      {.listen = {"127.0.0.1:0"}, .max_message_bytes = 64 << 10, .metrics_listen = "127.0.0.1:0"});
  v1::ConvResponse response;
  const absl::Status status =
      Caller(ChannelTo(server_->addresses()[0])).Conv(SlowConv({.pictures = 64}), response);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  while (Value("convserve_calls_finished_total{code=\"INVALID_ARGUMENT\",method=\"Conv\"}") +
             Value("convserve_calls_finished_total{code=\"CANCELLED\",method=\"Conv\"}") !=
         1) {
  }
}

TEST_F(MetricsTest, BytesDurationsAndMultiplyAddsAreSummed) {
  v1::ConvResponse response;
  EXPECT_TRUE(caller_.Conv(SmallConv(), response).ok());
  EXPECT_EQ(Value("convserve_request_bytes_total{method=\"Conv\"}"), SmallConv().ByteSizeLong());
  EXPECT_GT(Value("convserve_response_bytes_total{method=\"Conv\"}"), 0);
  for (const std::string part : {"call", "queue", "compute"}) {
    EXPECT_EQ(Value("convserve_" + part + "_duration_seconds_count{method=\"Conv\"}"), 1);
    EXPECT_GT(Value("convserve_" + part + "_duration_seconds_sum{method=\"Conv\"}"), 0);
  }
  EXPECT_THAT(Scrape(), testing::ContainsRegex("convserve_multiply_adds_total.*} 4\n"));
}

TEST_F(MetricsTest, MemoryThatIsKeptForTheNextCallsIsSeen) {
  constexpr std::int64_t kBytes = 4 * AlignedBuffer::kHugePage;
  { const AlignedBuffer block(kBytes); }  // in this process, as the server is
  EXPECT_GE(Value("convserve_kept_bytes"), kBytes);
}

TEST_F(MetricsTest, LimitsAndTheProgramAreStated) {
  EXPECT_EQ(Value("convserve_memory_limit_bytes"), 1 << 30);
  EXPECT_EQ(Value("convserve_max_requests"), 7);
  EXPECT_EQ(Value("convserve_threads"), 2);
  EXPECT_EQ(Value("convserve_ready"), 1);
  EXPECT_EQ(Value("convserve_in_flight_bytes"), 0);
  EXPECT_EQ(Value("convserve_calls_waiting"), 0);
  EXPECT_THAT(Scrape(), HasSubstr("convserve_build_info{"));
  EXPECT_THAT(Scrape(), HasSubstr("convserve_rejections_total{reason=\"RESET_FLOOD\"} 0\n"));
  EXPECT_NEAR(Value("process_start_time_seconds"), static_cast<double>(time(nullptr)), 600);
  EXPECT_GT(Value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(Value("process_open_fds"), 3);
}

TEST_F(MetricsTest, WhatRunningCallsHoldIsSeenWhileTheyRun) {
  const ScopedEnvironment forced("CONVSERVE_ALGORITHM", "reference");
  server_ =
      StartServer({.listen = {"127.0.0.1:0"}, .max_requests = 1, .metrics_listen = "127.0.0.1:0"});
  Caller caller(ChannelTo(server_->addresses()[0]));
  Pending request(caller, kEndless);
  EXPECT_EQ(Value("convserve_calls_in_progress"), 1);
  EXPECT_GT(Value("convserve_rejections_total{reason=\"TOO_MANY_REQUESTS\"}"), 0);
  while (Value("convserve_in_flight_bytes") == 0) {  // it is still being read
  }
  request.Cancel();
  (void)request.Wait();
  while (Value("convserve_calls_finished_total{code=\"CANCELLED\",method=\"Conv\"}") == 0) {
  }
  while (Value("convserve_in_flight_bytes") != 0) {
  }
}

TEST_F(MetricsTest, HealthPagesAnswerAndOthersDoNot) {
  const std::string& address = server_->metrics_address();
  EXPECT_EQ(HttpAsk(address, "/livez").code, 200);
  EXPECT_EQ(HttpAsk(address, "/readyz").code, 200);
  EXPECT_EQ(HttpAsk(address, "/readyz", "HEAD").code, 200);
  EXPECT_EQ(HttpAsk(address, "/readyz", "HEAD").body, "");
  for (const char* path : {"/", "/metrics/x", "/etc/passwd", "/../../etc/passwd", "/readyzz"}) {
    EXPECT_GE(HttpAsk(address, path).code, 400) << path;
  }
  EXPECT_GE(HttpAsk(address, "/metrics", "DELETE").code, 400);
  EXPECT_THAT(HttpAsk(address, "/metrics").head, HasSubstr("text/plain; version=0.0.4"));
}

TEST_F(MetricsTest, RequestsAreReadInEveryFormThatHttpHas) {
  const std::string& address = server_->metrics_address();
  const struct {
    std::string request;
    const char* answer;
  } rows[] = {
      {"GET /livez HTTP/1.1\n\n", "200 OK"},
      {"GET /livez HTTP/1.1\nHost: a\n\r\n", "200 OK"},
      {"GET /livez?verbose HTTP/1.0\r\nHost: a\n\n", "200 OK"},
      {"GET http://" + address + "/livez HTTP/1.1\r\n\r\n", "200 OK"},
      {"GET http://a:1/livez?b=/c HTTP/1.1\r\n\r\n", "200 OK"},
      {"GET http://a:1 HTTP/1.1\r\n\r\n", "404 Not Found"},
      {"GET livez HTTP/1.1\r\n\r\n", "404 Not Found"},
      {"GET /livez\n\n", "400 Bad Request"},
  };
  for (const auto& row : rows) {
    RawConnection connection(address);
    connection.Send(row.request);
    EXPECT_THAT(connection.ReadToEnd(), StartsWith(std::string("HTTP/1.1 ") + row.answer))
        << row.request;
  }
}

TEST_F(MetricsTest, ABusyMetricsPortIsRefusedWithItsAddressAndTheReason) {
  const auto second = Server::Start({.metrics_listen = server_->metrics_address()});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr(server_->metrics_address()), HasSubstr("Address already in use")));
}

TEST_F(MetricsTest, APortAloneIsOneOfLoopback) {
  const auto server = StartServer({.metrics_listen = "0"});
  EXPECT_THAT(server->metrics_address(), StartsWith("127.0.0.1:"));
  for (const std::string text : {"unix:/run/m", "metrics", "127.0.0.1", ":9464", "70000"}) {
    const absl::Status refused = Server::Start({.metrics_listen = text}).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("--metrics-listen")) << text;
  }
}

TEST_F(MetricsTest, PromtoolFindsNothingToComplainAbout) {
  v1::ConvResponse response;
  (void)caller_.Conv(SmallConv(), response);
  (void)caller_.Conv({}, response);
  const ScratchFolder folder;
  const std::string text = folder.Write("metrics.txt", Scrape());
  EXPECT_EQ(Output("promtool check metrics <" + text), "");
}

TEST(Alerts, FireOnWhatTheyAreForAndOnNothingElse) {
  EXPECT_THAT(
      Output("promtool test rules " CONVSERVE_SOURCE_DIR "/docker/prometheus/alerts_test.yml"),
      HasSubstr("SUCCESS"));
}

TEST_F(MetricsTest, DashboardAndAlertsSpeakOnlyOfMetricsThatThereAre) {
  std::set<std::string> exported;
  std::istringstream lines(Scrape());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#")) exported.insert(line.substr(0, line.find_first_of("{ ")));
  }
  const std::regex name(R"(\b(convserve|process)_[a-z_]+)");
  for (const char* path : {"docker/grafana/convserve.json", "docker/prometheus/alerts.yml"}) {
    const std::string text = SourceFile(path);
    std::set<std::string> spoken;
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at) {
      spoken.insert(at->str());
    }
    EXPECT_GT(spoken.size(), 10U) << path;
    EXPECT_THAT(exported, IsSupersetOf(spoken)) << path;
  }
  EXPECT_TRUE(nlohmann::json::parse(SourceFile("docker/grafana/convserve.json"))["panels"].size() >
              10);
}

TEST_F(MetricsTest, PrometheusScrapesIt) {
  const ScratchFolder folder;
  const std::string config =
      folder.Write("prometheus.yml",
                   "global: {scrape_interval: 500ms, evaluation_interval: 1s}\n"
                   "rule_files: [" CONVSERVE_SOURCE_DIR
                   "/docker/prometheus/alerts.yml]\n"
                   "scrape_configs:\n- job_name: convserve\n  static_configs: [{targets: ['" +
                       server_->metrics_address() + "']}]\n");
  const std::string address = "127.0.0.1:" + std::to_string(FreePort());
  Child prometheus(Program{"/usr/bin/prometheus"},
                   {"--config.file=" + config, "--storage.tsdb.path=" + folder.path("data"),
                    "--web.listen-address=" + address, "--log.level=error"});
  const auto ask = [&](const std::string& query) {
    return HttpAsk(address, "/api/v1/query?query=" + query).body;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  std::string answer;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // leaves it the processor
    answer = ask("convserve_ready");
  } while (answer.find("\"1\"") == std::string::npos &&
           std::chrono::steady_clock::now() < deadline);
  EXPECT_THAT(answer, HasSubstr("\"job\":\"convserve\""));
  EXPECT_THAT(ask("up"), HasSubstr("\"1\""));
  EXPECT_THAT(ask("ALERTS"), Not(HasSubstr("firing")));
}

}  // namespace
}  // namespace convserve
