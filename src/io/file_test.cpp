// What lives here: tests of whole files.
#include "io/file.h"

#include <sys/stat.h>

#include <fstream>

#include "io/test_files.h"

namespace keras::io {
namespace {

TEST(File, WritesAndReads) {
  TempDir dir;
  write_file_atomic(dir / "a.txt", "one\ntwo");
  EXPECT_EQ(read_text_file(dir / "a.txt"), "one\ntwo");
  write_file_atomic(dir / "a.txt", "");
  EXPECT_EQ(read_file(dir / "a.txt").size(), 0u);
  EXPECT_EQ(dir.files(), 1u);
}

TEST(File, KeepsTheOldFileUntilCommitted) {
  TempDir dir;
  write_file_atomic(dir / "a", "old");
  {
    AtomicFile file(dir / "a");
    file.write(as_bytes("half"));
    EXPECT_EQ(read_text_file(dir / "a"), "old");
    EXPECT_EQ(dir.files(), 2u);
  }
  EXPECT_EQ(read_text_file(dir / "a"), "old");
  EXPECT_EQ(dir.files(), 1u) << "the temporary file is gone";
}

TEST(File, KeepsModeAndFollowsLinks) {
  TempDir dir;
  write_file_atomic(dir / "a", "old");
  ::chmod((dir / "a").c_str(), 0640);
  std::filesystem::create_symlink(dir / "a", dir / "link");
  write_file_atomic(dir / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(read_text_file(dir / "a"), "new");
  struct stat info {};
  ::stat((dir / "a").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(File, WritesThroughDevices) {
  write_file_atomic("/dev/null", "text");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  expect_error<RuntimeError>([] { write_file_atomic("/dev/full", "text"); }, {"/dev/full", "No space"});
}

TEST(File, NamesPathAndReason) {
  TempDir dir;
  expect_error<RuntimeError>([&] { read_file(dir / "none"); }, {"none", "No such file"});
  expect_error<RuntimeError>([&] { read_file(dir / ""); }, {"folder"});
  expect_error<RuntimeError>([&] { write_file_atomic(dir / "no/such/a", "x"); }, {"no/such/a", "No such file"});
  expect_error<RuntimeError>([&] { write_file_atomic(dir / "", "x"); }, {"folder"});
  expect_error<RuntimeError>([&] { write_file_atomic("", "x"); }, {"empty"});
  write_file_atomic(dir / "big", std::string(1000, 'x'));
  expect_error<ValueError>([&] { read_file(dir / "big", 999); }, {"big", "999"});
  expect_error<ValueError>([&] { read_file("/dev/zero", 100000); }, {"too large"});
}

TEST(File, TakesTheLongestName) {
  TempDir dir;
  std::string name(255, 'n');
  write_file_atomic(dir / name, "x");
  EXPECT_EQ(read_text_file(dir / name), "x");
}

}  // namespace
}  // namespace keras::io
