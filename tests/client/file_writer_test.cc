#include "client/cli/file_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
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

TEST(FileWriter, LinksStayAndWhatTheyLeadToIsWritten) {
  const ScratchFolder folder;
  const std::string old_path = folder.Write("old", "old");
  std::filesystem::create_directory(folder.Path("links"));
  std::filesystem::create_symlink("../old", folder.Path("links/to_old"));
  std::filesystem::create_symlink("links/to_old", folder.Path("twice"));
  std::filesystem::create_symlink(folder.Path("new"), folder.Path("to_new"));
  ASSERT_TRUE(WriteFile(folder.Path("twice"), {"x"}).ok());
  ASSERT_TRUE(WriteFile(folder.Path("to_new"), {"y"}).ok());
  for (const char* link : {"links/to_old", "twice", "to_new"}) {
    EXPECT_TRUE(std::filesystem::is_symlink(folder.Path(link))) << link;
  }
  EXPECT_EQ(ReadBytes(old_path), "x");
  EXPECT_EQ(ReadBytes(folder.Path("new")), "y");
  std::filesystem::create_symlink("circle", folder.Path("circle"));
  EXPECT_FALSE(WriteFile(folder.Path("circle"), {"x"}).ok());
}

// Root may write everything: while this lives the process is somebody else.
class Unprivileged {
 public:
  explicit Unprivileged(const ScratchFolder& folder) {
    if (user_ != 0) return;
    for (const char* name : {"", "file"}) {
      EXPECT_EQ(chown(folder.Path(name).c_str(), kNobody, kNoGroup), 0);
    }
    EXPECT_EQ(seteuid(kNobody), 0);
  }
  ~Unprivileged() { EXPECT_EQ(seteuid(user_), 0); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  static constexpr gid_t kNoGroup = 65534;
  const uid_t user_ = geteuid();
};

TEST(FileWriter, AFileThatMayNotBeWrittenIsNotReplaced) {
  const ScratchFolder folder;
  const std::string path = folder.Write("file", "old");
  const Unprivileged user(folder);
  chmod(path.c_str(), 0444);
  const absl::Status status = WriteFile(path, {"new"});
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReadBytes(path), "old");
}

TEST(FileWriter, AFileInAFolderThatTakesNoOtherIsWrittenInPlace) {
  const ScratchFolder folder;
  const std::string path = folder.Write("file", "old and longer");
  const Unprivileged user(folder);
  chmod(folder.Path("").c_str(), 0555);
  EXPECT_TRUE(WriteFile(path, {"new"}).ok());
  EXPECT_FALSE(WriteFile(folder.Path("other"), {"x"}).ok());
  chmod(folder.Path("").c_str(), 0755);
  EXPECT_EQ(ReadBytes(path), "new");
}

TEST(FileWriter, AFileThatNoOtherMayReplaceIsWrittenInPlace) {
  if (geteuid() != 0) GTEST_SKIP() << "takes two users";
  const ScratchFolder folder;
  const std::string path = folder.Write("theirs", "old and longer");
  folder.Write("file", "");
  const Unprivileged user(folder);
  ASSERT_EQ(seteuid(0), 0);
  ASSERT_EQ(chown(folder.Path("").c_str(), 0, 0), 0);
  chmod(folder.Path("").c_str(), 01777);
  chmod(path.c_str(), 0666);
  ASSERT_EQ(seteuid(65534), 0);
  EXPECT_TRUE(WriteFile(path, {"new"}).ok());
  EXPECT_EQ(ReadBytes(path), "new");
  EXPECT_EQ(folder.FileCount(), 2u);
}

TEST(FileWriter, AFileKeepsItsOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "takes two users";
  const ScratchFolder folder;
  const std::string path = folder.Write("file", "old");
  ASSERT_EQ(chown(path.c_str(), 65534, 65533), 0);
  chmod(path.c_str(), 0640);
  ASSERT_TRUE(WriteFile(path, {"new"}).ok());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 65534u);
  EXPECT_EQ(info.st_gid, 65533u);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_EQ(ReadBytes(path), "new");
}

TEST(FileWriter, AllNamesOfAFileLeadToWhatWasWritten) {
  const ScratchFolder folder;
  const std::string path = folder.Write("file", "old and longer");
  std::filesystem::create_hard_link(path, folder.Path("other"));
  ASSERT_TRUE(WriteFile(path, {"new"}).ok());
  EXPECT_EQ(ReadBytes(folder.Path("other")), "new");
  EXPECT_EQ(std::filesystem::hard_link_count(path), 2u);
}

TEST(FileWriter, NamesMayBeAsLongAsTheSystemAllows) {
  const ScratchFolder folder;
  const std::string path = folder.Path(std::string(255, 'n'));
  for (const char* text : {"old", "new"}) {
    EXPECT_TRUE(WriteFile(path, {text}).ok());
    EXPECT_EQ(ReadBytes(path), text);
    EXPECT_EQ(folder.FileCount(), 1u);
  }
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
