// What lives here: tests of tables of numbers.
#include "io/csv.h"

#include <cmath>

#include "io/file.h"
#include "io/test_files.h"

namespace keras::io {
namespace {

TEST(Csv, ReadsNumbers) {
  Table t = parse_csv("1,2.5,-3e2\r\n+4, 5 ,.5\n", "t");
  EXPECT_TRUE(t.names.empty());
  EXPECT_EQ(t.values, Array(Shape{2, 3}, std::vector<double>{1, 2.5, -300, 4, 5, .5}));
  EXPECT_EQ(parse_csv("1;2", "t", {.delimiter = ';', .dtype = DType::Float32}).values, Array(Shape{1, 2}, std::vector<float>{1, 2}));
}

TEST(Csv, ReadsHeaderQuotesAndBlanks) {
  Table t = parse_csv(
      "\xEF\xBB\xBF"
      "time,\"a, \"\"b\"\"\",c\n\n1,\"2\",\n,nan,inf\n",
      "t");
  EXPECT_EQ(t.names, (std::vector<std::string>{"time", "a, \"b\"", "c"}));
  auto v = t.values.as<double>();
  ASSERT_EQ(t.values.shape, (Shape{2, 3}));
  EXPECT_EQ(v[1], 2);
  EXPECT_TRUE(std::isnan(v[2]) && std::isnan(v[3]) && std::isnan(v[4]) && std::isinf(v[5]));
  EXPECT_EQ(t.column("c"), 2u);
  EXPECT_EQ(t.column("1"), 1u);
  EXPECT_EQ(t.column_values(1).shape, Shape{2});
  expect_error<ValueError>([&] { t.column("tim"); }, {"did you mean 'time'"});
  EXPECT_EQ(parse_csv("1,2\n3,4", "t", {.header = CsvHeader::Yes}).names, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(parse_csv("a,b", "t").values.shape, (Shape{0, 2}));
}

TEST(Csv, KnowsTheEndsOfDoubles) {
  auto v = parse_csv("1e400,-1e400,1e-400,1e9999,1e-9999,5e-324", "t").values;
  auto d = v.as<double>();
  EXPECT_EQ(d[0], INFINITY);
  EXPECT_EQ(d[1], -INFINITY);
  EXPECT_EQ(d[2], 0);
  EXPECT_EQ(d[3], INFINITY);
  EXPECT_EQ(d[4], 0);
  EXPECT_EQ(d[5], 5e-324);
}

TEST(Csv, NamesLineAndColumn) {
  expect_error<ValueError>([] { parse_csv("a,b\n1,2\n3\n", "f.csv"); }, {"f.csv, line 3", "2 fields", "1 fields"});
  expect_error<ValueError>([] { parse_csv("1,2\n3,x\n", "f.csv"); }, {"line 2, column 2", "'x'"});
  expect_error<ValueError>([] { parse_csv("\"a\nb\",c\n1,2,3\n", "f.csv"); }, {"line 3"});
  expect_error<ValueError>([] { parse_csv("a\n\"1", "f.csv"); }, {"not closed"});
  expect_error<ValueError>([] { parse_csv("a\n\"1\"2", "f.csv"); }, {"closing quote"});
  expect_error<ValueError>([] { parse_csv("a,b\n1,2", "f", {.header = CsvHeader::No}); }, {"line 1, column 1"});
  expect_error<ValueError>([] { parse_csv("", "f.csv"); }, {"no rows"});
  expect_error<ValueError>([] { parse_csv("1", "f.csv", {.dtype = DType::Int32}); }, {"int32"});
}

TEST(Csv, RoundTrips) {
  TempDir dir;
  Array a(Shape{2, 2}, std::vector<double>{0.1, 1e-300, NAN, -5});
  write_csv(dir / "a.csv", a, {"x, y", "z"});
  EXPECT_EQ(read_text_file(dir / "a.csv"), "\"x, y\",z\n0.1,1e-300\n,-5.0\n");
  Table t = read_csv(dir / "a.csv");
  EXPECT_EQ(t.names, (std::vector<std::string>{"x, y", "z"}));
  EXPECT_EQ(t.values.as<double>()[1], 1e-300);
  EXPECT_TRUE(std::isnan(t.values.as<double>()[2]));
  EXPECT_EQ(to_csv(Array(Shape{3}, std::vector<float>{0.1f, 3, NAN})), "0.1\n3.0\nnan\n");
  EXPECT_EQ(to_csv(Array(Shape{1, 2}, std::vector<int64_t>{-1, INT64_MAX})), "-1,9223372036854775807\n");
  EXPECT_EQ(to_csv(Array(Shape{2}, std::vector<uint8_t>{0, 255})), "0\n255\n");
  EXPECT_THROW(to_csv(Array(Shape{1, 1, 1}, std::vector<float>{1})), ValueError);
  EXPECT_THROW(to_csv(a, {"x"}), ValueError);
}

TEST(Csv, SurvivesDamage) {
  auto b = as_bytes("a,\"b \"\"c\"\"\"\n1,2\n\"3\",4e5\n,\n");
  damage(
      Bytes(b.begin(), b.end()),
      [](Bytes x) {
        parse_csv({reinterpret_cast<const char*>(x.data()), x.size()}, "t");
      },
      3000, 30);
}

}  // namespace
}  // namespace keras::io
