// What lives here: zip archives from anywhere.
#include "fuzz/fuzz_target.h"
#include "io/zip.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  io::ZipLimits limits;
  limits.member = limits.total = uint64_t{32} << 20;
  attempt("f.zip", [&] {
    io::ZipReader zip(input, "f.zip", limits);
    for (const io::ZipEntry& entry : zip.entries())
      attempt("f.zip", [&] {
        if (zip.read(entry.name).size() != entry.size) throw Finding("a member of another size than declared");
      });
    attempt("f.zip", [&] { zip.read("no such member"); });
  });
}

void put(Bytes& out, uint64_t v, int width) {
  for (int b = 0; b < width; ++b) out.push_back(static_cast<std::byte>(v >> (8 * b)));
}

uint32_t crc32(const std::string& text) {
  uint32_t crc = ~0u;
  for (char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

/// An archive of one member of at most 64 KB as packers write it; `declared` is the size that it claims. Deflated is here the block that keeps bytes as they are.
Bytes archive(const std::string& name, const std::string& content, bool deflate, uint64_t declared) {
  std::string stored = content;
  if (deflate) {
    std::string head = "\1";
    for (size_t n : {content.size(), ~content.size()}) head += static_cast<char>(n & 255), head += static_cast<char>(n >> 8 & 255);
    stored = head + content;
  }
  uint32_t crc = crc32(content);
  auto common = [&](Bytes& out) {
    put(out, 20, 2), put(out, 0, 2), put(out, deflate ? 8 : 0, 2), put(out, 0, 4), put(out, crc, 4);
    put(out, stored.size(), 4), put(out, declared, 4), put(out, name.size(), 2), put(out, 0, 2);
  };
  auto text = [](Bytes& out, const std::string& s) {
    for (char c : s) out.push_back(static_cast<std::byte>(c));
  };
  Bytes out;
  put(out, 0x04034b50, 4), common(out), text(out, name), text(out, stored);
  size_t directory = out.size();
  put(out, 0x02014b50, 4), put(out, 20, 2), common(out), put(out, 0, 2), put(out, 0, 2), put(out, 0, 2), put(out, 0, 4), put(out, 0, 4), text(out, name);
  size_t length = out.size() - directory;
  put(out, 0x06054b50, 4), put(out, 0, 4), put(out, 1, 2), put(out, 1, 2), put(out, length, 4), put(out, directory, 4), put(out, 0, 2);
  return out;
}

void seeds(const Sink& sink) {
  io::ZipWriter two;
  two.add_text("config.json", "{\"a\": 1}");
  two.add_text("folder/b.bin", std::string(300, 'b'));
  sink("stored", two.bytes());
  sink("empty", io::ZipWriter().bytes());
  std::string text(5000, 'k');
  sink("deflated", archive("k.txt", text, true, text.size()));
  sink("lying_size", archive("k.txt", text, true, text.size() + 100));
  sink("smaller_than_it_is", archive("k.txt", text, true, 10));
  sink("bomb", archive("k.txt", text, true, 0xfffffff0u));
  sink("absolute_name", archive("/etc/passwd", "x", false, 1));
  sink("name_that_leaves", archive("a/../../x", "x", false, 1));
}

const Register registered({"zip", run, seeds, nullptr, 400});

}  // namespace
}  // namespace keras::fuzz
