#include "client/cli/file_writer.h"

#include <sys/stat.h>

#include <string>

#include "client/cli/byte_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/scratch_folder.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::ReadBytes;
using ::convserve::testing::ScratchFolder;
using ::testing::HasSubstr;

TEST(FileWriter, ReplacesAFileAndLeavesNothingBeside) {
  const ScratchFolder folder;
  const std::string path = folder.Write("file", "old and longer");
  ASSERT_TRUE(WriteFile(path, {"ne", "", "w"}).ok());
  EXPECT_EQ(ReadBytes(path), "new");
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(FileWriter, KeepsTheModeOfAFileAndObeysTheUmaskForANewOne) {
  const ScratchFolder folder;
  const std::string old_path = folder.Write("old", "");
  chmod(old_path.c_str(), 0640);
  ASSERT_TRUE(WriteFile(old_path, {"x"}).ok());
  struct stat info;
  ASSERT_EQ(stat(old_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);

  const mode_t before = umask(027);
  ASSERT_TRUE(WriteFile(folder.Path("new"), {"x"}).ok());
  umask(before);
  ASSERT_EQ(stat(folder.Path("new").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST(FileWriter, SaysWhyItCannotWrite) {
  const ScratchFolder folder;
  const absl::Status status = WriteFile(folder.Path("none/file"), {"x"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot be written"));
  EXPECT_FALSE(WriteFile(folder.Path(""), {"x"}).ok());
}

TEST(FileWriter, ReportsAFullDevice) { EXPECT_FALSE(WriteFile("/dev/full", {"x"}).ok()); }

TEST(ByteReader, FilesAreReadToTheirEnd) {
  const ScratchFolder folder;
  auto reader = OpenFile(folder.Write("file", "hello"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->remaining(), 5);
  EXPECT_EQ(*ReadAll(**reader), "hello");
  EXPECT_EQ((*reader)->remaining(), 0);
}

TEST(ByteReader, WhatIsNoFileIsRefused) {
  const ScratchFolder folder;
  EXPECT_EQ(OpenFile(folder.Path("missing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(OpenFile(folder.Path("")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenFile("/dev/zero").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ByteReader, FilesAboveTheLimitAreRefusedUnread) {
  const ScratchFolder folder;
  const std::string path = folder.Write("large", "");
  // Sparse: it takes no room.
  std::filesystem::resize_file(path, kMaxFileBytes + 1);
  EXPECT_EQ(OpenFile(path).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace convserve::cli
