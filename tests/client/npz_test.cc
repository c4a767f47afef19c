#include "client/cli/npz.h"

#include <unistd.h>

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
using ::convserve::testing::ScratchFolder;
using ::convserve::testing::ToDoubles;
using ::testing::HasSubstr;

std::string DataFile(std::string_view name) {
  return std::string(CONVSERVE_TEST_DATA) + "/npy/" + std::string(name);
}

std::string Message(const absl::StatusOr<Tensor>& result) {
  return std::string(result.status().message());
}

// Replaces every occurrence of `from`.
std::string Replaced(std::string bytes, std::string_view from, std::string_view to) {
  for (std::size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + 1)) {
    bytes.replace(at, from.size(), to);
  }
  return bytes;
}

TEST(Npz, MembersOfStoredAndDeflatedArchivesAreReadByName) {
  for (const std::string_view archive : {"stored.npz", "deflated.npz"}) {
    for (const std::string_view name : {"second", "second.npy"}) {
      const absl::StatusOr<Tensor> tensor = ReadNpz(DataFile(archive), name);
      ASSERT_TRUE(tensor.ok()) << archive << ": " << tensor.status();
      EXPECT_EQ(tensor->data_type(), DataType::kInt32);
      EXPECT_EQ(ToDoubles(*tensor), std::vector<double>({-2, -1, 0, 1}));
    }
  }
}

TEST(Npz, TheOnlyMemberNeedsNoName) {
  const absl::StatusOr<Tensor> tensor = ReadNpz(DataFile("single.npz"), "");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), Shape({2, 3}));
}

TEST(Npz, UnknownOrMissingNamesAreAnsweredWithTheOnesThereAre) {
  EXPECT_EQ(Message(ReadNpz(DataFile("stored.npz"), "third")),
            "has no array \"third\"; it holds first, second");
  EXPECT_THAT(Message(ReadNpz(DataFile("stored.npz"), "")),
              HasSubstr("FILE.npz:NAME; it holds first, second"));
}

TEST(Npz, WhatIsNoArchiveIsSaidToBeNone) {
  const ScratchFolder folder;
  EXPECT_EQ(ReadNpz(folder.Path("missing.npz"), "x").status().code(), absl::StatusCode::kNotFound);
  const absl::StatusOr<Tensor> text = ReadNpz(folder.Write("text.npz", "hello"), "x");
  EXPECT_EQ(text.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(text), HasSubstr("is not a .npz file"));
  EXPECT_FALSE(ReadNpz(folder.Write("empty.npz", ""), "x").ok());
}

TEST(Npz, AnArchiveMayComeThroughAPipe) {
  const std::string bytes = ReadBytes(DataFile("deflated.npz"));
  const auto read_piped = [&](std::size_t size) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(write(ends[1], bytes.data(), size), static_cast<ssize_t>(size));
    close(ends[1]);
    absl::StatusOr<Tensor> tensor = ReadNpz("/dev/fd/" + std::to_string(ends[0]), "first");
    close(ends[0]);
    return tensor;
  };
  const absl::StatusOr<Tensor> tensor = read_piped(bytes.size());
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(ToDoubles(*tensor), std::vector<double>({-2, -1, 0, 1, 2, 3}));
  for (const std::size_t size : {std::size_t{10}, bytes.size() - 1}) {
    EXPECT_THAT(Message(read_piped(size)), HasSubstr("is not a .npz file"));
  }
}

TEST(Npz, EveryTruncationIsRefused) {
  const ScratchFolder folder;
  const std::string bytes = ReadBytes(DataFile("deflated.npz"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadNpz(folder.Write("cut.npz", bytes.substr(0, size)), "first").ok()) << size;
  }
}

TEST(Npz, ChangedElementsFailTheChecksum) {
  const ScratchFolder folder;
  std::string bytes = ReadBytes(DataFile("stored.npz"));
  // The last element of `first`, 3.0f.
  const std::size_t at = bytes.find(std::string("\x00\x00\x40\x40", 4));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = '\x01';
  const absl::StatusOr<Tensor> tensor = ReadNpz(folder.Write("changed.npz", bytes), "first");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(tensor), HasSubstr("is a damaged archive"));
}

TEST(Npz, SizesThatDeflateCannotReachAreRefusedBeforeMemoryIsTaken) {
  const ScratchFolder folder;
  const std::string bytes = ReadBytes(DataFile("deflated.npz"));
  // 152 bytes expanded, in the local header and in the directory, become 1.6 GB.
  const std::string claimed =
      Replaced(bytes, std::string("\x98\x00\x00\x00", 4), std::string("\x98\x00\x00\x60", 4));
  ASSERT_NE(claimed, bytes);
  const absl::StatusOr<Tensor> tensor = ReadNpz(folder.Write("bomb.npz", claimed), "first");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss) << tensor.status();
  EXPECT_THAT(Message(tensor), HasSubstr("cannot expand to"));
}

TEST(Npz, EveryDamagedByteIsRefusedOrReadRight) {
  const ScratchFolder folder;
  const std::string bytes = ReadBytes(DataFile("deflated.npz"));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(~damaged[at]);
    const absl::StatusOr<Tensor> tensor = ReadNpz(folder.Write("damaged.npz", damaged), "first");
    if (tensor.ok()) {
      EXPECT_EQ(ToDoubles(*tensor), std::vector<double>({-2, -1, 0, 1, 2, 3})) << at;
    }
  }
}

TEST(Npz, IsReadAsItWasWrittenAndTheSameEveryTime) {
  const ScratchFolder folder;
  const Tensor tensor = MakeTensor(DataType::kFloat32, {1, 1, 2, 2}, {1, 2, 3, 4});
  const absl::StatusOr<std::string> bytes = EncodeNpz("output", tensor.view());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(EncodeNpz("output", tensor.view()), bytes);
  const absl::StatusOr<Tensor> read = ReadNpz(folder.Write("a.npz", *bytes), "output");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(testing::SameBits(*read, tensor));
}

}  // namespace
}  // namespace convserve::cli
