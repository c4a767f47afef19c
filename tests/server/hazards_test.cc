// The hazards of this gRPC that concern messages, by their numbers in the list of hazards: what
// arrives is too large, compressed or no message at all, and the server's memory stays flat.
#include <future>
#include <thread>

#include "client/convolution_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using ::testing::StartsWith;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::string_view kListening = "listening on ";

// A server in a process of its own, whose memory is measured. AddressSanitizer holds freed memory
// back unless it is told not to.
class ServerProcess {
 public:
  explicit ServerProcess(std::vector<std::string> arguments)
      : child_(WithAddress(std::move(arguments)),
               {"ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}) {
    const std::string line = child_.ReadLine();
    EXPECT_THAT(line, StartsWith(std::string(kListening)));
    address_ = line.substr(kListening.size());
    v1::ConvResponse response;
    EXPECT_TRUE(Caller(Channel()).Conv(SmallConv(), response).ok());
  }

  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> Channel() const { return ChannelTo(address_); }
  std::int64_t PeakMemory() const { return child_.PeakMemory(); }

  void ExpectServing() const {
    v1::ConvResponse response;
    const absl::Status status = Caller(Channel()).Conv(SmallConv(), response);
    EXPECT_TRUE(status.ok()) << status;
  }

 private:
  static std::vector<std::string> WithAddress(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--listen", "127.0.0.1:0"});
    return arguments;
  }

  Child child_;
  std::string address_;
};

// Sanitizers keep freed memory for a while, and all memory has a shadow.
#if defined(__SANITIZE_THREAD__)
constexpr double kShadow = 3;
#elif defined(__SANITIZE_ADDRESS__)
constexpr double kShadow = 1.5;
#else
constexpr double kShadow = 1;
#endif

grpc::Status Send(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const grpc::ByteBuffer& message,
                  grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
  return CallInBytes(
             channel, "/convserve.v1.ConvolutionService/" + method, message,
             [&](grpc::ClientContext& context) { context.set_compression_algorithm(compression); })
      .status;
}

// That many bytes, of which memory is taken once.
grpc::ByteBuffer Zeros(std::int64_t size) {
  const grpc::Slice block(std::string(static_cast<std::size_t>(kMiB), '\0'));
  const std::vector<grpc::Slice> pieces(static_cast<std::size_t>(size / kMiB), block);
  return grpc::ByteBuffer(pieces.data(), pieces.size());
}

TEST(Hazard01, AResponseAbove2GiBIsRefusedBySizeNotByAbort) {
  const ServerProcess server({"--max-message-bytes", std::to_string(kMaxMessageBytes),
                              "--memory-limit", std::to_string(std::int64_t{1} << 45)});
  struct Row {
    const char* name;
    int stride;
    v1::TensorEncoding encoding;
  };
  for (const Row& row :
       {Row{"just above", 23170, v1::TENSOR_ENCODING_DATA},  // 23172^2 floats: 2^31 + 144 K
        Row{"just above, as values", 16383, v1::TENSOR_ENCODING_VALUES},  // 16385^2 doubles
        Row{"far above", 1 << 20, v1::TENSOR_ENCODING_DATA}}) {
    v1::ConvTransposeRequest request = SpreadConvTranspose();
    request.mutable_parameters()->set_stride(0, row.stride);
    request.set_output_encoding(row.encoding);
    v1::ConvTransposeResponse response;
    const absl::Status status = Caller(server.Channel()).ConvTranspose(request, response);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << row.name << ": " << status;
    EXPECT_EQ(ReasonOf(status), "REQUEST_LIMIT") << row.name;
  }
  EXPECT_LT(server.PeakMemory(), 512 * kMiB) << "nothing of the size was allocated";
  server.ExpectServing();
}

TEST(Hazard01, ARequestAbove2GiBIsRefusedByTheClientBeforeItIsSent) {
  const std::byte element{};
  const TensorView large{DataType::kFloat32, {1, 1, 32768, 16384}, &element};
  const TensorView small{DataType::kFloat32, {1, 1, 1, 1}, &element};
  const ConvolutionClient client("127.0.0.1:1", {.timeout = std::chrono::seconds(1)});
  const auto result = client.Conv({large, small, {}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
}

TEST(Hazard02, MessagesOf256MiBAgainstALimitOf1MiBLeaveMemoryFlat) {
  const ServerProcess server({"--max-message-bytes", std::to_string(kMiB), "--max-requests", "16"});
  const std::int64_t before = server.PeakMemory();
  const auto channel = server.Channel();
  for (int round = 0; round < 4; ++round) {
    const grpc::Status status = Send(channel, "Conv", Zeros(256 * kMiB));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  }
  EXPECT_LT(static_cast<double>(server.PeakMemory() - before), 64 * kMiB * kShadow);
  server.ExpectServing();
}

TEST(Hazard02, MessagesUpToTheLimitPassBesideEachOther) {
  const ServerProcess server({"--max-message-bytes", std::to_string(8 * kMiB)});
  v1::ConvRequest request = SmallConv();
  request.mutable_input()->clear_values();
  request.mutable_input()->set_shape(2, 2047);
  request.mutable_input()->set_shape(3, 1024);
  request.mutable_input()->set_data(std::string(std::size_t{2047} * 1024 * 4, '\0'));
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  ASSERT_GT(request.ByteSizeLong(), 8 * kMiB - 16384);
  std::vector<std::future<absl::Status>> calls;
  for (int i = 0; i < 16; ++i) {
    calls.push_back(std::async(std::launch::async, [&] {
      v1::ConvResponse response;
      return Caller(server.Channel()).Conv(request, response);
    }));
  }
  for (auto& call : calls) EXPECT_EQ(call.get(), absl::OkStatus());
}

// gRPC reclaims memory while what it has read is given back, on whatever thread that is.
TEST(Hazard02, MoreUploadsThanFitAtOnceLeaveTheServerServing) {
  const ServerProcess server({"--max-message-bytes", std::to_string(2 * kMiB), "--memory-limit",
                              std::to_string(8 * kMiB), "--threads", "1"});
  v1::ConvRequest request = SmallConv();
  request.mutable_input()->clear_values();
  request.mutable_input()->set_shape(2, 480);
  request.mutable_input()->set_shape(3, 1024);
  request.mutable_input()->set_data(std::string(std::size_t{480} * 1024 * 4, '\0'));
  request.mutable_parameters()->add_stride(16);
  const grpc::ByteBuffer message = InOneSlice(request.SerializeAsString());
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 32; ++i) {
    callers.push_back(std::async(std::launch::async, [&] {
      const auto channel = server.Channel();
      for (int round = 0; round < 4; ++round) (void)Send(channel, "Conv", message);
    }));
  }
  for (auto& caller : callers) caller.get();
  server.ExpectServing();
}

TEST(Hazard03, CompressedBombsAreUnimplementedAndLeaveMemoryFlat) {
  const ServerProcess server({});
  const std::int64_t before = server.PeakMemory();
  const auto channel = server.Channel();
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    for (int round = 0; round < 2; ++round) {
      const grpc::Status status = Send(channel, "Conv", Zeros(128 * kMiB), algorithm);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
    }
  }
  EXPECT_LT(static_cast<double>(server.PeakMemory() - before), 32 * kMiB * kShadow);
  server.ExpectServing();
}

// A number takes eight bytes of the message, eight where protobuf finds it and eight parsed.
// Messages that are still on their way come on top of the limit.
// gRPC keeps what it reads of a connection that never pauses, in about every second such flood.
TEST(Hazard12, FloodsOfCallsThatAreTakenBackAtOnceLeaveMemoryBounded) {
  const ServerProcess server({});
  const std::int64_t before = server.PeakMemory();
  for (int flood = 0; flood < 4; ++flood) {
    RawConnection connection(server.address());
    if (!connection.Greet()) continue;  // the last flood is still being cleared away
    for (std::uint32_t stream = 1; stream < 80'000; stream += 2) {
      if (!connection.BeginCall(stream, "Conv") || !connection.ResetCall(stream)) break;
    }
  }
  EXPECT_LE(server.PeakMemory() - before, static_cast<std::int64_t>(250 * kMiB * kShadow));
  server.ExpectServing();
}

TEST(PeakMemory, OfValuesStaysWithinTheLimitAndWhatIsOnItsWay) {
  constexpr std::int64_t kLimit = 96 * kMiB;
  constexpr std::int64_t kMessage = 8 * kMiB;
  constexpr int kCalls = 12;
  const ServerProcess server(
      {"--memory-limit", std::to_string(kLimit), "--max-message-bytes", std::to_string(kLimit)});
  const std::int64_t before = server.PeakMemory();
  const auto values = [](std::int64_t bytes) {
    v1::ConvRequest request = SmallConv();
    const std::int64_t count = bytes / 8;
    request.mutable_input()->set_shape(2, 1);
    request.mutable_input()->set_shape(3, count);
    request.mutable_weight()->set_shape(2, 1);
    request.mutable_weight()->set_shape(3, 1);
    request.mutable_weight()->clear_values();
    request.mutable_weight()->add_values(1);
    request.mutable_input()->mutable_values()->Resize(static_cast<int>(count), 1);
    request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
    return request;
  };
  v1::ConvResponse response;
  const absl::Status large = Caller(server.Channel()).Conv(values(32 * kMiB), response);
  EXPECT_EQ(large.code(), absl::StatusCode::kResourceExhausted) << large;
  EXPECT_EQ(ReasonOf(large), "MEMORY_LIMIT");

  const v1::ConvRequest fitting = values(kMessage);
  std::vector<std::future<absl::Status>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::async(std::launch::async, [&] {
      v1::ConvResponse own;
      return Caller(server.Channel()).Conv(fitting, own);
    }));
  }
  int answered = 0;
  for (auto& call : calls) {
    const absl::Status status = call.get();
    if (status.ok()) {
      ++answered;
    } else {
      EXPECT_EQ(ReasonOf(status), "MEMORY_BUSY") << status;
    }
  }
  EXPECT_GT(answered, 0);
  EXPECT_LT(static_cast<double>(server.PeakMemory() - before),
            static_cast<double>(kLimit + kCalls * kMessage + 32 * kMiB) * kShadow);
  server.ExpectServing();
}

TEST(PeakMemory, Of64MiBInAnd64MiBOutIsLittleMoreThanTheTensors) {
  const ServerProcess server({});
  const Tensor input(DataType::kFloat32, {1, 1, 4096, 4096});
  std::fill_n(const_cast<float*>(input.As<float>()), input.size(), 2.0F);
  const Tensor weight = Tensor::Of<float>({1, 1, 1, 1}, std::vector<float>{3});
  const ConvolutionClient client(server.address());
  const auto result = client.Conv({input.view(), weight.view(), {}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.As<float>()[input.size() - 1], 6);
  const double tensors = 2.0 * 64 * kMiB;
  const double ratio = static_cast<double>(server.PeakMemory()) / tensors;
  EXPECT_LE(ratio, 2.2 * kShadow);
  RecordProperty("ratio", std::to_string(ratio));
}

struct Malformed {
  const char* name;
  std::string bytes;
};

TEST(MalformedMessages, AreRefusedAndTheConnectionGoesOn) {
  const auto server = StartServer();
  const auto channel = ChannelTo(server->addresses()[0]);
  Caller caller(channel);
  const std::string good = SmallConv().SerializeAsString();
  const std::vector<Malformed> rows = {
      {"a zero byte", std::string(1, '\0')},
      {"text", "GET / HTTP/1.1\r\n\r\n"},
      {"all ones", std::string(64, '\xff')},
      {"cut short", good.substr(0, good.size() - 1)},
      {"a tensor longer than the message", "\x0a\x7f"},
      {"data longer than its tensor", "\x0a\x02\x1a\x7f"},
      {"an end of no group", "\x0c"},
      {"a group without an end", "\xa3\x06"},
      {"a length of 2 GiB", "\x0a\xff\xff\xff\xff\x07"},
      {"a length of ten bytes", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
      {"a tag of six bytes", "\x8a\x80\x80\x80\x80\x01"},
      {"wire type 7", "\x0f"},
      {"a thousand groups", std::string(1000, '\x0b')},
      {"good, then not", good + "\xff"},
  };
  for (const char* method : {"Conv", "ConvTranspose", "Describe", "Explain"}) {
    for (const Malformed& row : rows) {
      const grpc::Status status = Send(channel, method, InOneSlice(row.bytes));
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
          << method << ", " << row.name << ": " << status.error_message();
    }
    v1::ConvResponse response;
    EXPECT_TRUE(caller.Conv(SmallConv(), response).ok()) << "after " << method;
  }
}

TEST(MalformedMessages, FieldsThatWouldSwellWhenParsedAreRefusedFirst) {
  const auto server = StartServer();
  const auto channel = ChannelTo(server->addresses()[0]);
  v1::ConvRequest shapes;  // sizes of one byte each, which take eight when parsed
  shapes.mutable_input()->mutable_shape()->Resize(2'000'000, 1);
  v1::ExplainRequest explain;
  *explain.mutable_conv() = shapes;
  std::string unknown;
  while (unknown.size() < 3'000'000) unknown.append("\xa0\x06\x01", 3);
  struct Row {
    const char* method;
    std::string bytes;
  };
  for (const Row& row :
       {Row{"Conv", shapes.SerializeAsString()}, Row{"ConvTranspose", shapes.SerializeAsString()},
        Row{"Explain", explain.SerializeAsString()}, Row{"Conv", unknown},
        Row{"ConvTranspose", unknown}, Row{"Describe", unknown}, Row{"Explain", unknown}}) {
    const grpc::Status status = Send(channel, row.method, InOneSlice(row.bytes));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
        << row.method << ": " << status.error_message();
  }
}

}  // namespace
}  // namespace convserve
