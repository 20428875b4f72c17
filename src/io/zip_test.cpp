// What lives here: tests of zip archives.
#include "io/zip.h"

#include <zip.h>

#include "io/file.h"
#include "io/test_files.h"

namespace keras::io {
namespace {

ZipWriter sample() {
  ZipWriter zip;
  zip.add_text("config.json", "{}");
  zip.add("data/weights", Bytes(3000, std::byte{7}));
  zip.add_text("empty", "");
  return zip;
}

/// An archive made with libzip itself, so that members may be anything.
Bytes raw_archive(const TempDir& dir, const std::vector<std::pair<std::string, std::string>>& members, int method) {
  std::string path = dir / "raw.zip";
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  for (const auto& [name, text] : members) {
    auto at = zip_file_add(zip, name.c_str(), zip_source_buffer(zip, text.data(), text.size(), 0), ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(at), method, 0);
  }
  EXPECT_EQ(zip_close(zip), 0);
  return read_file(path);
}

/// Puts `to` wherever `from` stands: names of equal length, sizes.
Bytes replaced(Bytes bytes, std::string_view from, std::string_view to) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  auto b = as_bytes(text);
  return Bytes(b.begin(), b.end());
}

TEST(Zip, RoundTripsInMemoryAndOnDisk) {
  TempDir dir;
  sample().write(dir / "a.zip");
  Bytes bytes = sample().bytes();
  EXPECT_EQ(read_file(dir / "a.zip"), bytes);
  EXPECT_EQ(sample().bytes(), bytes) << "equal content, equal bytes";
  EXPECT_EQ(dir.files(), 1u);
  for (bool memory : {false, true}) {
    ZipReader zip = memory ? ZipReader(bytes, "memory") : ZipReader(dir / "a.zip");
    ASSERT_EQ(zip.entries().size(), 3u);
    EXPECT_EQ(zip.entries()[0].name, "config.json");
    EXPECT_EQ(zip.entries()[1].size, 3000u);
    EXPECT_EQ(zip.read_text("config.json"), "{}");
    EXPECT_EQ(zip.read("data/weights"), Bytes(3000, std::byte{7}));
    EXPECT_EQ(zip.read("empty").size(), 0u);
    EXPECT_TRUE(zip.contains("empty"));
    EXPECT_FALSE(zip.contains("data"));
  }
}

TEST(Zip, WritesStoredAndDated1980) {
  Bytes bytes = sample().bytes();
  auto u16 = [&](size_t at) { return static_cast<int>(bytes[at]) | static_cast<int>(bytes[at + 1]) << 8; };
  EXPECT_EQ(u16(8), 0) << "stored";
  EXPECT_EQ(u16(10), 0) << "midnight";
  EXPECT_EQ(u16(12), 1 << 5 | 1) << "1980-01-01";
}

TEST(Zip, EmptyArchive) {
  TempDir dir;
  ZipWriter().write(dir / "e.zip");
  EXPECT_TRUE(ZipReader(dir / "e.zip").entries().empty());
  EXPECT_TRUE(ZipReader(ZipWriter().bytes(), "m").entries().empty());
}

TEST(Zip, ReadsDeflated) {
  TempDir dir;
  std::string text(100000, 'a');
  ZipReader zip(raw_archive(dir, {{"t", text}}, ZIP_CM_DEFLATE), "m");
  EXPECT_LT(zip.entries()[0].compressed_size, 1000u);
  EXPECT_EQ(zip.read_text("t"), text);
}

TEST(Zip, NamesNearestMember) {
  ZipReader zip(sample().bytes(), "m.keras");
  expect_error<ValueError>([&] { zip.read("confg.json"); }, {"m.keras", "confg.json", "did you mean 'config.json'"});
}

TEST(Zip, RefusesNamesThatLeave) {
  TempDir dir;
  for (const char* name : {"/etc/passwd", "../up", "a/../../b", "a/..", "C:evil", "..\\up", "\\abs"}) {
    expect_error<ValueError>([&] { ZipReader(raw_archive(dir, {{name, "x"}}, ZIP_CM_STORE), "f.zip"); }, {"f.zip", name});
    EXPECT_THROW(ZipWriter().add_text(name, "x"), ValueError);
  }
  EXPECT_NO_THROW(ZipReader(raw_archive(dir, {{"a..b/..c", "x"}, {"d/", ""}}, ZIP_CM_STORE), "f.zip"));
}

TEST(Zip, RefusesDuplicates) {
  TempDir dir;
  expect_error<ValueError>(
      [&] {
        ZipReader(replaced(raw_archive(dir, {{"aa", "x"}, {"ab", "y"}}, ZIP_CM_STORE), "ab", "aa"), "f.zip");
      },
      {"f.zip", "'aa'", "twice"});
  ZipWriter zip;
  zip.add_text("a", "");
  EXPECT_THROW(zip.add_text("a", ""), ValueError);
}

TEST(Zip, RefusesLyingSizesAndBombs) {
  TempDir dir;
  Bytes archive = raw_archive(dir, {{"t", std::string(0x123456, 'a')}}, ZIP_CM_DEFLATE);
  Bytes lying = replaced(archive, std::string("\x56\x34\x12\0", 4), std::string("\0\0\0\x70", 4));
  expect_error<ValueError>([&] { ZipReader(lying, "f.zip"); }, {"f.zip", "'t'", "bomb"});
  Bytes longer = replaced(archive, std::string("\x56\x34\x12\0", 4), std::string("\x57\x34\x12\0", 4));
  expect_error<ValueError>([&] { ZipReader(longer, "f.zip").read("t"); }, {"f.zip", "'t'"});
  Bytes shorter = replaced(archive, std::string("\x56\x34\x12\0", 4), std::string("\x55\x34\x12\0", 4));
  expect_error<ValueError>([&] { ZipReader(shorter, "f.zip").read("t"); }, {"f.zip", "'t'"});
  expect_error<ValueError>([&] { ZipReader(archive, "f.zip", {.member = 1000}); }, {"'t'", "too many"});
  expect_error<ValueError>([&] { ZipReader(sample().bytes(), "f.zip", {.members = 2}); }, {"3 members"});
}

TEST(Zip, ComparesChecksums) {
  Bytes bytes = replaced(sample().bytes(), std::string(100, '\7'), std::string(99, '\7') + "\x8");
  expect_error<ValueError>([&] { ZipReader(bytes, "f.zip").read("data/weights"); }, {"f.zip", "data/weights", "CRC"});
}

TEST(Zip, NamesFileAndReason) {
  TempDir dir;
  expect_error<RuntimeError>([&] { ZipReader(dir / "none.zip"); }, {"none.zip", "No such file"});
  write_file_atomic(dir / "text.zip", "no archive at all");
  expect_error<ValueError>([&] { ZipReader(dir / "text.zip"); }, {"text.zip", "zip"});
  expect_error<RuntimeError>([&] { sample().write(dir / "no/a.zip"); }, {"no/a.zip"});
}

TEST(Zip, SurvivesDamage) {
  TempDir dir;
  auto read = [](Bytes b) {
    ZipReader zip(std::move(b), "f.zip");
    for (const auto& entry : zip.entries()) zip.read(entry.name);
  };
  damage(sample().bytes(), read, 2000);
  damage(raw_archive(dir, {{"t", std::string(5000, 'a') + "bcd"}, {"u", "abcdef"}}, ZIP_CM_DEFLATE), read, 2000);
}

TEST(Zip, ReadsKerasArchives) {
  auto files = corpus_models("model.keras");
  KERAS_NEEDS_CORPUS(files);
  for (const auto& file : files) {
    ZipReader zip(file);
    EXPECT_EQ(zip.entries().size(), 3u) << file;
    for (const char* name : {"metadata.json", "config.json", "model.weights.h5"}) EXPECT_GT(zip.read(name).size(), 10u);
  }
}

}  // namespace
}  // namespace keras::io
