// What lives here: tests of .npy and .npz files.
#include "io/npy.h"

#include "io/file.h"
#include "io/test_files.h"

namespace keras::io {
namespace {

/// A .npy with any header.
Bytes npy(std::string header, std::string_view data, int version = 1) {
  header += '\n';
  std::string text("\x93NUMPY", 6);
  text += static_cast<char>(version);
  text += '\0';
  for (int shift = 0; shift < (version == 1 ? 16 : 32); shift += 8) text += static_cast<char>(header.size() >> shift & 255);
  text += header;
  text += data;
  auto b = as_bytes(text);
  return Bytes(b.begin(), b.end());
}
Bytes npy_of(const std::string& descr, const std::string& shape, std::string_view data, bool fortran = false) {
  return npy("{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }", data);
}

Array sample(DType dtype, Shape shape) {
  Array a{dtype, shape, Bytes(static_cast<size_t>(shape.numel()) * dtype_size(dtype))};
  for (size_t i = 0; i < a.data.size(); ++i) a.data[i] = static_cast<std::byte>(dtype == DType::Bool ? i % 2 : i * 7);
  return a;
}

TEST(Npy, RoundTripsEveryDtypeAndShape) {
  for (int d = 0; d < kNumDTypes; ++d)
    for (Shape shape : {Shape{}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 0, 3}, Shape{1, 2, 3, 4}}) {
      Array a = sample(static_cast<DType>(d), shape);
      EXPECT_EQ(parse_npy(npy_bytes(a), "t"), a) << dtype_name(a.dtype) << shape.str();
    }
}

TEST(Npy, WritesNumPysBytes) {
  Bytes b = npy_bytes(Array(Shape{2, 3}, std::vector<float>(6)));
  std::string text(reinterpret_cast<const char*>(b.data()), b.size());
  EXPECT_EQ(text.substr(0, 128), std::string("\x93NUMPY\x01\0v\0", 10) + "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" +
                                     std::string(58, ' ') + "\n");
  EXPECT_EQ(b.size(), 128u + 24);
}

TEST(Npy, ReadsOrdersAndVersions) {
  std::vector<int16_t> c = {1, 2, 3, 4, 5, 6};
  Array expected(Shape{2, 3}, c);
  std::string big, fortran;
  for (int16_t v : c) big += {static_cast<char>(v >> 8), static_cast<char>(v)};
  for (int16_t v : {1, 4, 2, 5, 3, 6}) fortran += {static_cast<char>(v), static_cast<char>(v >> 8)};
  EXPECT_EQ(parse_npy(npy_of(">i2", "(2, 3)", big), "t"), expected);
  EXPECT_EQ(parse_npy(npy_of("<i2", "(2, 3)", fortran, true), "t"), expected);
  for (int version : {1, 2, 3})
    EXPECT_EQ(parse_npy(npy("{\"shape\":(2L,3L),'descr':'>i2','fortran_order':False}", big, version), "t"), expected);
  EXPECT_EQ(parse_npy(npy_of("|b1", "(3,)", std::string("\0\1\2", 3)), "t"), Array(Shape{3}, std::span<const bool>({false, true, true})));
  // Fortran order of rank 3: element (i, j, k) of (2, 3, 4) lies at i + 2 j + 6 k.
  std::string f3;
  for (int n = 0; n < 24; ++n) f3 += static_cast<char>(n);
  auto a = parse_npy(npy_of("|i1", "(2, 3, 4)", f3, true), "t");
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) EXPECT_EQ(a.as<int8_t>()[static_cast<size_t>((i * 3 + j) * 4 + k)], i + 2 * j + 6 * k);
}

TEST(Npy, RefusesByName) {
  auto refuse = [](const char* descr, const char* word) {
    expect_error<ValueError>([&] { parse_npy(npy_of(descr, "(1,)", "12345678"), "f.npy"); }, {"f.npy", descr, word});
  };
  refuse("<U3", "strings");
  refuse("|S3", "strings");
  refuse("|O", "never loaded");
  refuse("<c8", "complex");
  refuse("<M8[ns]", "dates");
  refuse("|V8", "records");
  refuse("<f16", "size");
  refuse("<q9", "dtype");
  expect_error<ValueError>([] { parse_npy(npy("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", "1234"), "f.npy"); },
                           {"records"});
}

TEST(Npy, RefusesLies) {
  for (const char* shape : {"(4,)", "(2,)", "(-1,)", "(9999999999,9999999999,9999999999)", "(3,", "3", "(1.5,)"})
    EXPECT_THROW(parse_npy(npy_of("<i4", shape, "123456789abc"), "t"), ValueError) << shape;
  EXPECT_THROW(parse_npy(npy("{'descr': '<i4', 'shape': (1,)}", "1234"), "t"), ValueError);
  EXPECT_THROW(parse_npy(npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), 'x': 1}", "1234"), "t"), ValueError);
  EXPECT_THROW(parse_npy(npy("", ""), "t"), ValueError);
  EXPECT_THROW(parse_npy(Bytes{}, "t"), ValueError);
  EXPECT_THROW(npy_bytes(Array{DType::Float32, Shape{3}, Bytes(4)}), ValueError);
  expect_error<ValueError>([] { parse_npy(npy_of("<f4", "(3,)", "12345678"), "f.npy"); }, {"(3,)", "12 bytes", "8 follow"});
}

TEST(Npy, SurvivesDamage) {
  auto read = [](Bytes b) { parse_npy(std::move(b), "t"); };
  damage(npy_bytes(sample(DType::Float32, {3, 4})), read, 4000, 176);
  damage(npy_of(">f8", "(2, 3)", std::string(48, 'x'), true), read, 4000, 100);
}

Arrays arrays() {
  Arrays a;
  a.set("y", Array(Shape{2}, std::vector<double>{1, 2}));
  a.set("x/kernel", Array(Shape{}, std::vector<int64_t>{7}));
  a.set("h", sample(DType::Float16, {2, 2}));
  return a;
}

TEST(Npz, RoundTrips) {
  TempDir dir;
  write_npz(dir / "a.npz", arrays());
  EXPECT_EQ(read_file(dir / "a.npz"), npz_bytes(arrays()));
  Arrays back = read_npz(dir / "a.npz");
  EXPECT_EQ(back.names(), (std::vector<std::string>{"y", "x/kernel", "h"}));
  for (const auto& [name, array] : arrays()) EXPECT_EQ(back.at(name), array);
  NpzReader reader(npz_bytes(arrays()), "m");
  EXPECT_EQ(reader.read("x/kernel").as<int64_t>()[0], 7);
}

TEST(Npz, NamesNearest) {
  expect_error<ValueError>([] { arrays().at("x/kernl"); }, {"did you mean 'x/kernel'"});
  expect_error<ValueError>([] { NpzReader(npz_bytes(arrays()), "a.npz").read("Y"); }, {"a.npz", "did you mean 'y'", "'x/kernel'"});
}

TEST(Npz, ReadsOthersBesideAnUnreadableArray) {
  ZipWriter zip;
  zip.add("s.npy", npy_of("<U1", "(1,)", "a\0\0\0"));
  zip.add("x.npy", npy_of("<i4", "(1,)", "1234"));
  NpzReader reader(zip.bytes(), "a.npz");
  EXPECT_EQ(reader.read("x").numel(), 1u);
  expect_error<ValueError>([&] { reader.read("s"); }, {"a.npz, array 's'", "strings"});
}

TEST(Npz, SurvivesDamage) {
  damage(
      npz_bytes(arrays()), [](Bytes b) { NpzReader(std::move(b), "t").read_all(); }, 2000);
}

TEST(Npz, NumPysArraysComeBackByteForByte) {
  auto files = corpus_models("data.npz");
  KERAS_NEEDS_CORPUS(files);
  size_t read = 0;
  for (const auto& file : files) {
    NpzReader npz(file);
    ZipReader zip(file);
    for (const auto& name : npz.names()) {
      Bytes stored = zip.read(name + ".npy");
      EXPECT_EQ(npy_bytes(npz.read(name)), stored) << file << " " << name;
      ++read;
    }
  }
  EXPECT_GT(read, 100u);
}

}  // namespace
}  // namespace keras::io
