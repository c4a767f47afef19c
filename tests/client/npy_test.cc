#include "client/cli/npy.h"

#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/scratch_folder.h"
#include "tests/support/tensors.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::MakeTensor;
using ::convserve::testing::ReadBytes;
using ::convserve::testing::ToDoubles;
using ::testing::HasSubstr;

absl::StatusOr<Tensor> Read(std::string_view bytes) {
  MemoryReader reader(bytes);
  return ReadNpy(reader);
}

std::string DataFile(std::string_view name) {
  return std::string(CONVSERVE_TEST_DATA) + "/npy/" + std::string(name) + ".npy";
}

// A version 1 file with this header text and these elements.
std::string File(std::string_view header, std::string_view elements) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file.push_back(static_cast<char>(header.size() & 0xff));
  file.push_back(static_cast<char>(header.size() >> 8));
  file.append(header).append(elements);
  return file;
}

std::vector<double> Counting(std::int64_t count, double start) {
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), start);
  return values;
}

struct Written {
  std::string_view name;
  DataType type;
  Shape shape;
  double start = -2;
};

std::ostream& operator<<(std::ostream& out, const Written& file) { return out << file.name; }

class NpyByNumPy : public ::testing::TestWithParam<Written> {};

TEST_P(NpyByNumPy, IsReadInRowMajorOrder) {
  const Written& file = GetParam();
  const absl::StatusOr<Tensor> tensor = Read(ReadBytes(DataFile(file.name)));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data_type(), file.type);
  EXPECT_EQ(tensor->shape(), file.shape);
  EXPECT_EQ(ToDoubles(*tensor), Counting(tensor->size(), file.start));
}

INSTANTIATE_TEST_SUITE_P(Files, NpyByNumPy,
                         ::testing::Values(Written{"little_f2", DataType::kFloat16, {2, 3}},
                                           Written{"little_f4", DataType::kFloat32, {2, 3}},
                                           Written{"little_f8", DataType::kFloat64, {2, 3}},
                                           Written{"little_i1", DataType::kInt8, {2, 3}},
                                           Written{"little_u1", DataType::kUInt8, {2, 3}, 0},
                                           Written{"little_i4", DataType::kInt32, {2, 3}},
                                           Written{"big_f2", DataType::kFloat16, {2, 3}},
                                           Written{"big_f4", DataType::kFloat32, {2, 3}},
                                           Written{"big_f8", DataType::kFloat64, {2, 3}},
                                           Written{"big_i4", DataType::kInt32, {2, 3}},
                                           Written{"version_1", DataType::kFloat32, {2, 3}},
                                           Written{"version_2", DataType::kFloat32, {2, 3}},
                                           Written{"version_3", DataType::kFloat32, {2, 3}},
                                           Written{"fortran_2d", DataType::kFloat32, {2, 3}},
                                           Written{"fortran_3d_big", DataType::kFloat32, {2, 3, 4}},
                                           Written{"scalar", DataType::kFloat32, {}},
                                           Written{"vector", DataType::kFloat32, {4}},
                                           Written{"empty", DataType::kFloat32, {0, 2, 2}}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Npy, HeaderMayBeWrittenByHandInAnyOrderOfKeys) {
  const absl::StatusOr<Tensor> tensor =
      Read(File("{ \"shape\":(1L,2L),'fortran_order' : False,'descr':'|u1'}\n", "\x05\x06"));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), Shape({1, 2}));
  EXPECT_EQ(ToDoubles(*tensor), std::vector<double>({5, 6}));
}

struct Refusal {
  std::string name;
  std::string bytes;
  absl::StatusCode code;
  std::string message;
};

std::ostream& operator<<(std::ostream& out, const Refusal& row) { return out << row.name; }

class NpyRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(NpyRefusal, SaysWhatWasExpectedAndWhatCame) {
  const absl::StatusOr<Tensor> tensor = Read(GetParam().bytes);
  EXPECT_EQ(tensor.status().code(), GetParam().code);
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr(GetParam().message));
}

std::string Truncated(std::string_view name, std::size_t less) {
  std::string bytes = ReadBytes(DataFile(name));
  bytes.resize(bytes.size() - less);
  return bytes;
}

std::string WithDescr(std::string_view descr) {
  return File("{'descr': " + std::string(descr) + ", 'fortran_order': False, 'shape': (1,), }\n",
              "12345678");
}

std::string WithShape(std::string_view shape) {
  return File("{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(shape) + ", }\n",
              "1234");
}

constexpr auto kDamaged = absl::StatusCode::kDataLoss;
constexpr auto kUnknown = absl::StatusCode::kUnimplemented;

INSTANTIATE_TEST_SUITE_P(
    Bytes, NpyRefusal,
    ::testing::Values(
        Refusal{"Nothing", "", kDamaged,
                "is not a .npy file: expected it to begin with "
                "\"\\x93NUMPY\", got nothing"},
        Refusal{"Text", "hello, world", kDamaged, "got \"hello, w\""},
        Refusal{"MagicAlone", "\x93NUMPY", kDamaged, "ends within its first 8 bytes"},
        Refusal{"Version4", std::string("\x93NUMPY\x04\x00", 8), kUnknown,
                "version 4: expected 1, 2 or 3"},
        Refusal{"NoHeaderLength", std::string("\x93NUMPY\x02\x00\x10", 9), kDamaged,
                "ends within the header's length, after 1 of 4 bytes"},
        Refusal{"HugeHeader", std::string("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12), kDamaged,
                "2147483647 bytes: expected at most 65536"},
        Refusal{"ShortHeader", std::string("\x93NUMPY\x01\x00\x40\x00{", 11), kDamaged,
                "ends within the header, after 1 of 64 bytes"},
        Refusal{"HeaderIsNoDictionary", File("[1, 2]\n", ""), kDamaged,
                "expected a header with 'descr', 'fortran_order' and 'shape', got \"[1, 2]"},
        Refusal{"ShapeIsMissing", File("{'descr': '<f4', 'fortran_order': False}", ""), kDamaged,
                "expected a header with"},
        Refusal{"UnknownKey", File("{'descr': '<f4', 'colour': False, 'shape': ()}", ""), kDamaged,
                "expected a header with"},
        Refusal{"KeyTwice", File("{'descr': '<f4', 'descr': '<f4', 'shape': ()}", ""), kDamaged,
                "expected a header with"},
        Refusal{"TextBehindTheDictionary",
                File("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", ""), kDamaged,
                "expected a header with"},
        Refusal{"NegativeSize", WithShape("(-1,)"), kDamaged, "expected a header with"},
        Refusal{"SizeAbove2To63", WithShape("(9223372036854775808,)"), kDamaged,
                "expected a header with"},
        Refusal{"TooManyDimensions",
                WithShape("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"),
                kDamaged, "expected a header with"},
        Refusal{"ProductAbove2To63", WithShape("(4294967296, 4294967296)"), kDamaged,
                "shape [4294967296, 4294967296] of float32 takes more than 2^63 bytes, got 4"},
        Refusal{"MoreElementsThanBytes", WithShape("(1000000000000,)"), kDamaged,
                "takes 4000000000000 bytes, got 4"},
        Refusal{"FewerElementsThanBytes", WithShape("(0,)"), kDamaged, "takes 0 bytes, got 4"},
        Refusal{"Truncated", Truncated("little_f4", 1), kDamaged,
                "shape [2, 3] of float32 takes 24 bytes, got 23"},
        Refusal{"Int64", ReadBytes(DataFile("int64")), kUnknown,
                "holds elements of type \"<i8\": expected float32 (f4)"},
        Refusal{"Int64ShowsTheWayOut", ReadBytes(DataFile("int64")), kUnknown,
                "array.astype('float32')"},
        Refusal{"Int64LearnsWhereInt32IsTaken", ReadBytes(DataFile("int64")), kUnknown,
                "or, for a --bias, int32 (i4);"},
        Refusal{"Bool", ReadBytes(DataFile("bool")), kUnknown, "\"|b1\""},
        Refusal{"Complex", ReadBytes(DataFile("complex")), kUnknown, "\"<c8\""},
        Refusal{"Structured", ReadBytes(DataFile("structured")), kUnknown, "('x', '<f4')"},
        Refusal{"Object", WithDescr("'|O'"), kUnknown, "\"|O\""},
        Refusal{"NoByteOrder", WithDescr("'|f4'"), kUnknown, "\"|f4\""},
        Refusal{"ControlCharactersInTheType", WithDescr("'\x1b[2J'"), kUnknown, "\\x1b[2J"}),
    [](const auto& test) { return test.param.name; });

TEST(Npy, FileThatShrinksWhileItIsReadIsDamaged) {
  struct ShrinkingReader : MemoryReader {
    using MemoryReader::MemoryReader;
    std::int64_t remaining() const override { return MemoryReader::remaining() + 1; }
  };
  const std::string bytes = Truncated("little_f4", 1);
  ShrinkingReader reader(bytes);
  const absl::StatusOr<Tensor> tensor = ReadNpy(reader);
  EXPECT_EQ(tensor.status().code(), kDamaged);
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("after 23 of 24 bytes"));
}

TEST(Npy, HeaderIsWhatNumPyWrites) {
  EXPECT_EQ(NpyHeader(DataType::kFloat32, {2, 3}), ReadBytes(DataFile("little_f4")).substr(0, 128));
  EXPECT_EQ(NpyHeader(DataType::kFloat32, {4}), ReadBytes(DataFile("vector")).substr(0, 128));
  EXPECT_EQ(NpyHeader(DataType::kFloat32, {}), ReadBytes(DataFile("scalar")).substr(0, 128));
}

TEST(Npy, EveryTypeIsReadAsItWasWritten) {
  for (const DataType type : {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16,
                              DataType::kInt8, DataType::kUInt8, DataType::kInt32}) {
    const Tensor tensor = MakeTensor(type, {2, 2}, {1, 2, 3, 100});
    std::string bytes = NpyHeader(type, tensor.shape());
    bytes.append(tensor.As<char>(), static_cast<std::size_t>(tensor.byte_count()));
    const absl::StatusOr<Tensor> read = Read(bytes);
    ASSERT_TRUE(read.ok()) << Name(type) << read.status();
    EXPECT_TRUE(testing::SameBits(*read, tensor)) << Name(type);
  }
}

TEST(Npy, BFloat16WidensToFloat32) {
  const Tensor wide = WidenBFloat16(MakeTensor(DataType::kBFloat16, {3}, {1, -2.5, 256}).view());
  EXPECT_EQ(wide.data_type(), DataType::kFloat32);
  EXPECT_EQ(ToDoubles(wide), std::vector<double>({1, -2.5, 256}));
}

}  // namespace
}  // namespace convserve::cli
