// What lives here: tests of unpacking, on streams that zlib packed.
#include "io/inflate.h"

#include "io/test_files.h"

namespace keras::io {
namespace {

Bytes hex(const char* text) {
  Bytes out;
  for (; *text; text += 2) out.push_back(static_cast<std::byte>(std::stoi(std::string(text, 2), nullptr, 16)));
  return out;
}
Bytes bytes_of(std::string_view text) {
  auto b = as_bytes(text);
  return Bytes(b.begin(), b.end());
}
std::string names() {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "layer_" + std::to_string(i) + ",";
  return text;
}
// "layer_0,layer_1,..." with codes of its own, with the fixed codes, and stored.
const char* kDynamic =
    "78da3dd12b0e42411045c10d3d41ff80b71a82c0a170ec9e844c8d3aaed2b9fd7e7e5f9fc7e578ff1babb95aabbd3aabd7d5dbea7df5e46c9018c8600634a881"
    "0d6e80839ce4dcb792939ce4242739c9494e72918b5c7b0672918b5ce42217b9c84d6e72937b2f4c6e72939bdce4260f79c8431ef2ece791873ce421cf79fc00"
    "ee58b5a5";
const char* kFixed =
    "7801cb49ac4c2d8a37d0c901d38650da084a1b436913286d0aa5cda0b43994b680d2963073e006c24c348419690833d31066a821cc544398b18630730d61061b"
    "c24c3682996c04772bcc642398c94630938d60261bc14c3682996c0433d90866b231cc646398c9c6f06080996c0c33d91866b231cc646398c9c630938d61269b"
    "c04c3681996c0233d9041ec230934d60269bc04c3681996c0233d90466b229cc645398c9a630934d61269bc2230f66b229cc645398c9a630934d2d7500ee58b5"
    "a5";
const char* kStored = "7801010300fcff616263024d0127";

TEST(Inflate, UnpacksEveryKindOfBlock) {
  EXPECT_EQ(inflate_zlib(hex(kDynamic), names().size()), bytes_of(names()));
  EXPECT_EQ(inflate_zlib(hex(kFixed), names().size()), bytes_of(names()));
  EXPECT_EQ(inflate_zlib(hex(kStored), 3), bytes_of("abc"));
}

TEST(Inflate, TakesTheDeclaredSizeOnly) {
  for (size_t size : {names().size() - 1, names().size() + 1, size_t{0}}) EXPECT_THROW(inflate_zlib(hex(kDynamic), size), ValueError);
  EXPECT_THROW(inflate_zlib({}, 0), ValueError);
}

TEST(Inflate, TellsDamage) {
  for (const char* stream : {kDynamic, kFixed, kStored}) {
    Bytes good = hex(stream);
    size_t size = stream == kStored ? 3 : names().size();
    Bytes expected = inflate_zlib(good, size);
    damage(
        good, [&](Bytes b) { EXPECT_EQ(inflate_zlib(b, size), expected) << "damage passed unseen"; }, 3000);
  }
}

TEST(Inflate, Unshuffles) {
  EXPECT_EQ(unshuffle(bytes_of("aceBDF"), 2), bytes_of("aBcDeF"));
  EXPECT_EQ(unshuffle(bytes_of("acBDx"), 2), bytes_of("aBcDx"));
}

TEST(Inflate, Fletcher) {  // words are big-endian: "ab" "cd" "e\0"
  EXPECT_EQ(fletcher32(bytes_of("abcde")),
            ((0x6162u * 3 + 0x6364u * 2 + 0x6500u) % 65535u) << 16 | ((0x6162u + 0x6364u + 0x6500u) % 65535u));
  EXPECT_EQ(fletcher32({}), 0u);
}

}  // namespace
}  // namespace keras::io
