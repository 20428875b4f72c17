// What lives here: tests of JSON text, against what Python's json module reads and writes.
#include "io/json.h"

#include <cmath>

#include "io/test_files.h"
#include "io/zip.h"

namespace keras::io {
namespace {

std::string round(std::string_view text) { return to_json(parse_json(text, "t")); }

TEST(Json, ReadsKinds) {
  Value v = parse_json(R"( {"a": 1, "b": 1.0, "c": [true, false, null], "d": {"e": "x"}, "f": -0, "g": 1e3} )", "t");
  EXPECT_TRUE(v.get("a").is_int());
  EXPECT_TRUE(v.get("b").is_float());
  EXPECT_EQ(v.get("b").as_float(), 1.0);
  EXPECT_EQ(v.get("c").as_list().size(), 3u);
  EXPECT_TRUE(v.get("c").as_list()[2].is_null());
  EXPECT_EQ(v.get("d").get("e").as_string(), "x");
  EXPECT_TRUE(v.get("f").is_int());
  EXPECT_TRUE(v.get("g").is_float());
  EXPECT_EQ(parse_json("-9223372036854775808", "t").as_int(), INT64_MIN);
}

TEST(Json, WritesAsPython) {
  EXPECT_EQ(to_json(Dict{{"a", 1}, {"b", List{1.0, 1e-7, 1e16, 0.1, -0.0}}, {"c", List{}}, {"d", Dict{}}}),
            R"({"a": 1, "b": [1.0, 1e-07, 1e+16, 0.1, -0.0], "c": [], "d": {}})");
  EXPECT_EQ(to_json(Dict{{"a", List{1, Dict{{"x", nullptr}}}}, {"e", List{}}}, 2),
            "{\n  \"a\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"e\": []\n}");
  EXPECT_EQ(to_json(List{1, 2}, 0), "[\n1,\n2\n]");
  EXPECT_EQ(to_json("\"\\/\n\r\t\b\f\x01\x7f\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            R"("\"\\/\n\r\t\b\f\u0001\u007f\u00e4\u20ac\ud83d\ude00")");
  EXPECT_EQ(to_json(List{NAN, INFINITY, -INFINITY}), "[NaN, Infinity, -Infinity]");
  EXPECT_THROW(to_json(Value("\xff")), ValueError);
}

TEST(Json, RoundTrips) {
  for (const char* text : {R"([NaN, Infinity, -Infinity])", R"("\ud83d\ude00 \ud83d x \ude00")", R"({"a": {"b": [[], {}, ""]}})", "5e-324",
                           "1.7976931348623157e+308", R"("\u0000")"})
    EXPECT_EQ(round(text), text);
  EXPECT_EQ(round("1e400"), "Infinity");
  EXPECT_EQ(round("-123.5e400"), "-Infinity");
  EXPECT_EQ(round("1e-400"), "0.0");
  EXPECT_EQ(round("0.000e999"), "0.0");
  EXPECT_EQ(round("\"\xc3\xa4\""), "\"\\u00e4\"");
}

TEST(Json, LastOfEqualKeysWins) { EXPECT_EQ(round(R"({"a": 1, "b": 2, "a": 3})"), R"({"a": 3, "b": 2})"); }

TEST(Json, ManyKeysAreQuick) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
  EXPECT_EQ(parse_json(text + "}", "t").as_dict().size(), 200000u);
}

TEST(Json, NamesPlace) {
  expect_error<ValueError>([] { parse_json("{\n  \"a\": 1,\n  \"\xc3\xa4\" 2}", "f.json"); }, {"f.json", "line 3, column 7", "':'"});
  expect_error<ValueError>([] { parse_json("[1, 2", "f.json"); }, {"the end of the text"});
  expect_error<ValueError>([] { parse_json("18446744073709551616", "f"); }, {"64 bits"});
}

TEST(Json, RefusesWhatPythonRefuses) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "nul",
                           "'a'",
                           "\"a",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"\n\"",
                           "1 2",
                           "[1 2]",
                           "{\"a\" 1}",
                           "-",
                           "--1",
                           "\xef\xbb\xbf{}",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "tru",
                           "-NaN"})
    EXPECT_THROW(parse_json(text, "t"), ValueError) << text;
}

TEST(Json, LimitsDepth) {
  EXPECT_NO_THROW(parse_json(std::string(200, '[') + std::string(200, ']'), "t"));
  expect_error<ValueError>([] { parse_json(std::string(1000000, '['), "t"); }, {"200 levels"});
}

TEST(Json, SurvivesDamage) {
  std::string text = R"({"a": [1, 2.5e-3, NaN, "\ud83d\ude00\n"], "bb": {"c": null, "d": true}, "e": "text"})";
  auto bytes = as_bytes(text);
  damage(
      Bytes(bytes.begin(), bytes.end()),
      [](Bytes b) {
        to_json(parse_json({reinterpret_cast<const char*>(b.data()), b.size()}, "t"));
      },
      3000);
}

TEST(Json, ConfigsOfKerasComeBackByteForByte) {
  auto files = corpus_models("model.keras");
  KERAS_NEEDS_CORPUS(files);
  for (const auto& file : files) {
    ZipReader zip(file);
    for (const char* member : {"config.json", "metadata.json"}) {
      std::string text = zip.read_text(member);
      EXPECT_EQ(to_json(parse_json(text, file)), text) << file;
    }
  }
}

TEST(Json, SlowRefusesValuesWithoutEnd) {
  std::string text = "[";
  for (size_t i = 0; i < kMaxJsonValues + 1; ++i) text += "0,";
  expect_error<ValueError>([&] { parse_json(text + "0]", "many.json"); }, {"many.json", "values"});
}

}  // namespace
}  // namespace keras::io
