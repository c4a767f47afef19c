// The split parser against protobuf's.
#include "proto/split_message.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "tests/proto/messages.h"
#include "tests/support/differential.h"
#include "tests/support/pieces.h"

namespace convserve {
namespace {

struct WireRow {
  const char* name;
  std::string bytes;
};

template <std::size_t kSize>
std::string Bytes(const char (&literal)[kSize]) {
  return std::string(literal, kSize - 1);
}

// Tensor is field 1 (tag 0a) of every message; its data is field 3 (1a), its values field 4 (22).
std::vector<WireRow> WireRows() {
  return {
      {"nothing", ""},
      {"an empty tensor", Bytes("\x0a\x00")},
      {"data", Bytes("\x0a\x05\x1a\x03"
                     "abc")},
      {"data of no bytes", Bytes("\x0a\x02\x1a\x00")},
      {"data twice in one tensor: the last counts", Bytes("\x0a\x09\x1a\x03"
                                                          "abc\x1a\x02"
                                                          "de")},
      {"data twice, the last empty", Bytes("\x0a\x07\x1a\x03"
                                           "abc\x1a\x00")},
      {"a tensor that comes twice is merged", Bytes("\x0a\x07\x08\x01\x1a\x03"
                                                    "abc\x0a\x04\x12\x02\x05\x06")},
      {"merged, data in both", Bytes("\x0a\x05\x1a\x03"
                                     "abc\x0a\x04\x1a\x02"
                                     "de")},
      {"merged, the second without data", Bytes("\x0a\x05\x1a\x03"
                                                "abc\x0a\x02\x08\x02")},
      {"shapes packed and not", Bytes("\x0a\x06\x10\x07\x12\x02\x08\x09")},
      {"values packed", Bytes("\x0a\x0a\x22\x08\x00\x00\x00\x00\x00\x00\xf0\x3f")},
      {"values one by one", Bytes("\x0a\x09\x21\x00\x00\x00\x00\x00\x00\xf0\x3f")},
      {"values cut short", Bytes("\x0a\x09\x22\x07\x00\x00\x00\x00\x00\x00\xf0")},
      {"data as a number is unknown", Bytes("\x0a\x02\x18\x05")},
      {"a tensor as a number is unknown", Bytes("\x08\x05")},
      {"a tensor as four bytes is unknown", Bytes("\x0d\x01\x02\x03\x04")},
      {"unknown fields everywhere", Bytes("\xa2\x06\x03xyz\x0a\x08\xa0\x06\x7f\x1a\x03"
                                          "abc\xa5\x06\x01\x02\x03\x04")},
      {"a group", Bytes("\xa3\x06\x08\x01\xa4\x06")},
      {"a group in a tensor", Bytes("\x0a\x09\xa3\x06\x1a\x01\x21\xa4\x06\x08\x01")},
      {"groups in groups", Bytes("\xa3\x06\xab\x06\xac\x06\xa4\x06")},
      {"groups closed out of order", Bytes("\xa3\x06\xab\x06\xa4\x06\xac\x06")},
      {"a group that does not end", Bytes("\xa3\x06\x08\x01")},
      {"a group that ends outside its tensor", Bytes("\x0a\x02\xa3\x06\xa4\x06")},
      {"an end without a group", Bytes("\xa4\x06")},
      {"an end without a group in a tensor", Bytes("\x0a\x02\xa4\x06")},
      {"field number 0", Bytes("\x02\x00")},
      {"a zero byte", Bytes("\x00")},
      {"a zero byte in a tensor", Bytes("\x0a\x01\x00")},
      {"wire type 6", Bytes("\x0e")},
      {"wire type 7", Bytes("\x0a\x02\x1f\x00")},
      {"a tag in five bytes", Bytes("\x8a\x80\x80\x80\x00\x02\x08\x01")},
      {"a tag in five bytes, bits to spare", Bytes("\x8a\x80\x80\x80\x70\x02\x08\x01")},
      {"a tag in six bytes", Bytes("\x8a\x80\x80\x80\x80\x00\x02\x08\x01")},
      {"a length in five bytes", Bytes("\x0a\x87\x80\x80\x80\x00\x1a\x83\x80\x00"
                                       "abc")},
      {"a length in six bytes", Bytes("\x0a\x82\x80\x80\x80\x80\x00\x08\x01")},
      {"a length of 2 GiB", Bytes("\x0a\x80\x80\x80\x80\x08")},
      {"a length of 4 GiB and 2", Bytes("\x0a\x82\x80\x80\x80\x10\x08\x01")},
      {"a length below the limit of an int", Bytes("\x0a\xf0\xff\xff\xff\x07\x08\x01")},
      {"data beyond its tensor", Bytes("\x0a\x03\x1a\x02"
                                       "abc")},
      {"a tensor beyond the message", Bytes("\x0a\x06\x1a\x03"
                                            "abc")},
      {"a number in ten bytes", Bytes("\x0a\x0b\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
      {"a number in eleven bytes",
       Bytes("\x0a\x0c\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")},
      {"an unknown number in eleven bytes",
       Bytes("\xa0\x06\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")},
  };
}

// The bytes in one piece, cut at every position, and byte by byte.
template <typename Message>
void ExpectAgreement(const std::string& bytes, const std::string& what) {
  const Reading whole = ReadWhole<Message>(bytes);
  EXPECT_EQ(ReadSplit<Message>(InPieces(bytes)), whole) << what;
  EXPECT_EQ(ReadSplit<Message>(InBytes(bytes)), whole) << what << ", byte by byte";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(ReadSplit<Message>(InPieces(bytes, {cut})), whole) << what << ", cut at " << cut;
  }
}

// A request with everything that a message may hold, short enough to be cut everywhere.
std::string FullRequest() {
  v1::ConvRequest request = Typed();
  request.mutable_input()->clear_values();
  request.mutable_input()->set_data(std::string(200, '\x1a'));
  request.mutable_bias()->set_data("data");
  request.mutable_bias()->add_shape(-1);
  request.mutable_parameters()->mutable_padding()->Resize(4, 300);
  request.mutable_parameters()->set_groups(0);
  request.set_output_type(static_cast<v1::DataType>(1000));
  std::string bytes = request.SerializeAsString();
  for (const WireRow& row : WireRows()) {
    if (ReadWhole<v1::ConvRequest>(row.bytes).ok) bytes += row.bytes;
  }
  return bytes;
}

TEST(SplitMessage, SaysWhatProtobufSaysOfEveryKindOfField) {
  int good = 0;
  for (const WireRow& row : WireRows()) {
    ExpectAgreement<v1::ConvRequest>(row.bytes, row.name);
    ExpectAgreement<v1::ConvTransposeRequest>(row.bytes, row.name);
    ExpectAgreement<v1::ConvResponse>(row.bytes, row.name);
    good += ReadWhole<v1::ConvRequest>(row.bytes).ok ? 1 : 0;
  }
  EXPECT_GT(good, 15) << "the table shows both kinds";
  EXPECT_LT(good, static_cast<int>(WireRows().size()) - 15) << "the table shows both kinds";
}

TEST(SplitMessage, WhereverTheBytesAreCutIntoPieces) {
  const std::string bytes = FullRequest();
  const Reading whole = ReadWhole<v1::ConvRequest>(bytes);
  ASSERT_TRUE(whole.ok);
  ExpectAgreement<v1::ConvRequest>(bytes, "full request");
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); second += 7) {
      ASSERT_EQ(ReadSplit<v1::ConvRequest>(InPieces(bytes, {first, second})), whole)
          << first << " " << second;
    }
  }
}

TEST(SplitMessage, CutShortAtEveryByte) {
  const std::string bytes = FullRequest();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    const Reading whole = ReadWhole<v1::ConvRequest>(part);
    ASSERT_EQ(ReadSplit<v1::ConvRequest>(InPieces(part)), whole) << size;
    ASSERT_EQ(ReadSplit<v1::ConvRequest>(InPieces(part, {size / 2})), whole) << size;
  }
}

TEST(SplitMessage, AfterRandomChanges) {
  const std::string original = FullRequest();
  std::minstd_rand random(7);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  int good = 0;
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes = original;
    for (std::size_t change = below(4); change < 4; ++change) {
      const std::size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
          break;
        case 2:
          bytes.erase(at, 1 + below(3));
          break;
        default:
          bytes.insert(at, bytes.substr(below(bytes.size()), below(12)));
      }
    }
    const Reading whole = ReadWhole<v1::ConvRequest>(bytes);
    good += whole.ok ? 1 : 0;
    ASSERT_EQ(ReadSplit<v1::ConvRequest>(InPieces(bytes, {below(bytes.size() + 1)})), whole)
        << testing::PrintToString(bytes);
  }
  EXPECT_GT(good, kRounds / 100);
  EXPECT_LT(good, kRounds - kRounds / 100);
}

TEST(SplitMessage, AsDeepAsProtobufGoes) {
  for (const std::size_t depth : {1, 50, 97, 98, 99, 100, 101, 5000}) {
    std::string groups;
    for (std::size_t i = 0; i < depth; ++i) groups += "\xa3\x06";
    for (std::size_t i = 0; i < depth; ++i) groups += "\xa4\x06";
    EXPECT_EQ(ReadSplit<v1::ConvRequest>(InPieces(groups)), ReadWhole<v1::ConvRequest>(groups))
        << depth;
    v1::ConvRequest in_tensor;
    in_tensor.mutable_input()->ParseFromString(groups);
    const std::string nested = in_tensor.SerializeAsString();
    EXPECT_EQ(ReadSplit<v1::ConvRequest>(InPieces(nested)), ReadWhole<v1::ConvRequest>(nested))
        << depth;
  }
}

TEST(SplitMessage, LeavesTheDataWhereItIs) {
  v1::ConvRequest request = Typed();
  request.mutable_weight()->clear_values();
  request.mutable_weight()->set_data(std::string(1 << 20, 'w'));
  const ByteChain chain = Sent(request);
  const auto split = Split(chain, 3);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_LT(split->rest.size(), 100u);
  EXPECT_EQ(split->data[0].size(), 0);
  EXPECT_EQ(split->data[1].size(), 1 << 20);
}

TEST(SplitMessage, RefusesMoreThanItMayParseBeforeAnythingIsAdmitted) {
  struct Row {
    const char* name;
    std::string unit;  // repeated
    absl::StatusCode code;
  };
  const auto exhausted = absl::StatusCode::kResourceExhausted;
  for (const Row& row : {Row{"unknown numbers", Bytes("\xa0\x06\x01"), exhausted},
                         Row{"a shape", Bytes("\x0a\x02\x10\x01"), exhausted},
                         Row{"empty data", Bytes("\x0a\x02\x1a\x00"), exhausted},
                         Row{"an unknown text", Bytes("\xa2\x06\x09long text"), exhausted},
                         Row{"data", Bytes("\x0a\x42\x1a\x40") + std::string(64, 'd'), {}},
                         Row{"values", Bytes("\x0a\x42\x22\x40") + std::string(64, 'v'), {}}}) {
    std::string bytes;
    while (bytes.size() < 3 * static_cast<std::size_t>(kMaxFieldBytes)) bytes += row.unit;
    const auto split = Split(InPieces(bytes), 3);
    EXPECT_EQ(split.status().code(), row.code) << row.name << ": " << split.status();
    if (!split.ok()) {
      EXPECT_EQ(ReasonOf(split.status()), "REQUEST_LIMIT") << row.name;
    }
  }
}

TEST(SplitMessage, SaysWhereAMessageIsMalformed) {
  const auto split = Split(InPieces(Bytes("\x08\x05\x0a\x06\x1a\x03"
                                          "abc")),
                           3);
  EXPECT_EQ(split.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(split.status().message()), testing::HasSubstr("byte 2"));
}

}  // namespace
}  // namespace convserve
