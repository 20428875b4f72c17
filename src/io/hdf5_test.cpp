// What lives here: tests of HDF5 files, ours and those that h5py and Keras wrote.
#include "io/hdf5.h"

#include <cstring>
#include <thread>

#include "io/file.h"
#include "io/json.h"
#include "io/test_files.h"
#include "io/zip.h"

namespace keras::io {
namespace {

Array sample(DType dtype, Shape shape) {
  Array a{dtype, shape, Bytes(static_cast<size_t>(shape.numel()) * dtype_size(dtype))};
  for (size_t i = 0; i < a.data.size(); ++i) a.data[i] = static_cast<std::byte>(dtype == DType::Bool ? i % 2 : i * 7);
  return a;
}

/// Reads everything there is; errors of single members do not stop it.
size_t read_all(const H5Group& group, int depth = 0) {
  size_t arrays = 0;
  if (depth > 20) return 0;  // groups may hold each other
  auto attributes = [&](std::string_view of) {
    for (const auto& name : group.attr_names(of)) group.attr(name, of);
  };
  attributes({});
  for (const auto& member : group.members()) {
    try {
      if (member.kind == H5Kind::Group) {
        arrays += read_all(group.group(member.name), depth + 1);
      } else {
        group.read(member.name);
        attributes(member.name);
        ++arrays;
      }
    } catch (const Error&) {}
  }
  return arrays;
}

H5File sample_file() {
  H5File file = H5File::create_in_memory();
  H5Group root = file.root();
  for (int d = 0; d < kNumDTypes; ++d)
    root.write(std::string("all/") + dtype_name(static_cast<DType>(d)), sample(static_cast<DType>(d), {2, 3}));
  root.write("scalar", Array(Shape{}, std::vector<float>{2.5f}));
  root.write("empty", Array(Shape{0, 3}, std::vector<double>{}));
  H5Group g = root.create_group("layers/dense:0");
  g.set_attr("text", "h\xc3\xa4\xc3\x9f");
  g.set_attr("int", 7);
  g.set_attr("float", 0.5);
  g.set_attr("bool", true);
  g.set_attr("ints", List{1, -2, 3});
  g.set_attr("floats", List{1, 2.5});
  g.set_attr("bools", List{true, false});
  g.set_attr("texts", List{"a", "bcd", ""});
  g.set_attr("none", List{});
  g.set_attr_bytes("bytes", "jax");
  g.set_attr_strings("layer_names", {"dense", "a"});
  g.set_attr_strings("weight_names", {});
  g.set_attr("long", std::string(100000, 'x'));
  return file;
}

void expect_sample(const H5Group& root) {
  for (int d = 0; d < kNumDTypes; ++d)
    EXPECT_EQ(root.read(std::string("all/") + dtype_name(static_cast<DType>(d))), sample(static_cast<DType>(d), {2, 3})) << d;
  EXPECT_EQ(root.read("scalar").as<float>()[0], 2.5f);
  EXPECT_EQ(root.info("empty").shape, (Shape{0, 3}));
  H5Group g = root.group("layers").group("dense:0");
  EXPECT_EQ(g.attr_string("text"), "h\xc3\xa4\xc3\x9f");
  EXPECT_EQ(g.attr("int"), Value(7));
  EXPECT_TRUE(g.attr("int").is_int());
  EXPECT_EQ(g.attr("float"), Value(0.5));
  EXPECT_TRUE(g.attr("bool").is_bool());
  EXPECT_EQ(g.attr("ints"), Value(List{1, -2, 3}));
  EXPECT_EQ(g.attr("floats"), Value(List{1.0, 2.5}));
  EXPECT_EQ(g.attr("bools"), Value(List{true, false}));
  EXPECT_EQ(g.attr("texts"), Value(List{"a", "bcd", ""}));
  EXPECT_EQ(g.attr("none"), Value(List{}));
  EXPECT_EQ(g.attr_string("bytes"), "jax");
  EXPECT_EQ(g.attr_strings("layer_names"), (std::vector<std::string>{"dense", "a"}));
  EXPECT_TRUE(g.attr_strings("weight_names").empty());
  EXPECT_EQ(g.attr_string("long").size(), 100000u);
  EXPECT_EQ(root.attr("int", "layers/dense:0"), Value(7));
}

TEST(Hdf5, RoundTripsInMemory) {
  H5File file = sample_file();
  expect_sample(file.root());
  Bytes bytes = file.bytes();
  expect_sample(H5File::from_bytes(bytes, "m.h5").root());
  EXPECT_EQ(sample_file().bytes(), bytes) << "equal content, equal bytes";
}

TEST(Hdf5, WritesFilesAtOnce) {
  TempDir dir;
  {
    H5File file = H5File::create(dir / "a.h5");
    file.root().write("g/x", sample(DType::Float32, {4}));
    EXPECT_FALSE(std::filesystem::exists(dir / "a.h5"));
    file.commit();
    EXPECT_THROW(file.root().read("g/x"), RuntimeError);
    EXPECT_THROW(file.commit(), RuntimeError);
  }
  EXPECT_EQ(H5File::open(dir / "a.h5").root().read("g/x"), sample(DType::Float32, {4}));
  { H5File::create(dir / "b.h5").root().write("x", sample(DType::Float32, {4})); }
  EXPECT_EQ(dir.files(), 1u) << "what was not committed is gone";
  expect_error<RuntimeError>([&] { H5File::create(dir / "no/a.h5"); }, {"no/a.h5"});
}

TEST(Hdf5, ListsMembers) {
  H5File file = H5File::create_in_memory();
  file.root().write("b", sample(DType::Int8, {1}));
  file.root().create_group("a");
  file.root().create_group("\xc3\xa4");
  EXPECT_NO_THROW(file.root().require_group("a"));
  EXPECT_NO_THROW(file.root().require_group("c/d"));
  auto members = file.root().members();
  ASSERT_EQ(members.size(), 4u);
  EXPECT_EQ(members[3].name, "\xc3\xa4");
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(members[0].kind, H5Kind::Group);
  EXPECT_EQ(members[1].kind, H5Kind::Dataset);
  EXPECT_TRUE(file.root().contains("c/d"));
  EXPECT_FALSE(file.root().contains("c/e"));
  EXPECT_FALSE(file.root().contains("b/e"));
}

TEST(Hdf5, CutsLongListsAsKeras) {
  H5File file = H5File::create_in_memory();
  H5Group g = file.root();
  std::vector<std::string> names;
  for (int i = 0; i < 5000; ++i) names.push_back("layer_with_a_long_name_" + std::to_string(i));
  g.set_attr_strings("layer_names", names);
  EXPECT_FALSE(g.has_attr("layer_names"));
  EXPECT_TRUE(g.has_attr("layer_names0") && g.has_attr("layer_names2"));
  EXPECT_FALSE(g.has_attr("layer_names3")) << "27 bytes x 5000 in parts of at most 64512";
  EXPECT_EQ(g.attr("layer_names0").as_list().size(), 1667u);
  EXPECT_EQ(g.attr("layer_names2").as_list().size(), 1666u);
  EXPECT_EQ(H5File::from_bytes(file.bytes(), "m").root().attr_strings("layer_names"), names);
  EXPECT_THROW(g.set_attr_strings("x", {std::string(70000, 'x')}), RuntimeError);
}

TEST(Hdf5, NamesWhatIsWrong) {
  H5File file = H5File::from_bytes(sample_file().bytes(), "m.h5");
  H5Group root = file.root();
  expect_error<ValueError>([&] { root.read("all/flot32"); }, {"m.h5: /all", "did you mean 'float32'"});
  expect_error<ValueError>([&] { root.group("scalar"); }, {"m.h5: /scalar", "not a group", "a dataset"});
  expect_error<ValueError>([&] { root.read("all"); }, {"m.h5: /all", "not a dataset"});
  expect_error<ValueError>([&] { root.read("scalar/x"); }, {"not a group"});
  expect_error<ValueError>([&] { root.read("all//x"); }, {"no path"});
  expect_error<ValueError>([&] { root.group("layers/dense:0").attr("texst"); }, {"did you mean 'text'"});
  expect_error<ValueError>([&] { root.group("layers/dense:0").attr_string("int"); }, {"m.h5: /layers/dense:0", "not a string"});
  expect_error<ValueError>([&] { root.group("layers/dense:0").attr_strings("ints"); }, {"not a list of strings"});
  expect_error<RuntimeError>([&] { root.write("x", sample(DType::Int8, {1})); }, {"reading only"});
  H5File made = H5File::create_in_memory();
  made.root().create_group("a");
  EXPECT_THROW(made.root().create_group("a"), ValueError);
  made.root().write("x", sample(DType::Int8, {1}));
  EXPECT_THROW(made.root().write("x", sample(DType::Int8, {1})), RuntimeError);
  EXPECT_THROW(made.root().set_attr("a", List{1, "b"}), TypeError);
  EXPECT_THROW(made.root().set_attr("a", std::string("a\0b", 3)), ValueError);
  made.root().set_attr("a", 1);
  made.root().set_attr("a", "replaced");
  EXPECT_EQ(made.root().attr_string("a"), "replaced");
}

TEST(Hdf5, RefusesOtherFiles) {
  TempDir dir;
  expect_error<RuntimeError>([&] { H5File::open(dir / "none.h5"); }, {"none.h5", "No such file"});
  write_file_atomic(dir / "t.h5", "no HDF5 file at all");
  expect_error<ValueError>([&] { H5File::open(dir / "t.h5"); }, {"t.h5", "mark"});
  Bytes bytes = sample_file().bytes();
  bytes.resize(bytes.size() - 1);
  expect_error<ValueError>([&] { H5File::from_bytes(bytes, "m.h5"); }, {"m.h5", "truncated"});
  expect_error<ValueError>([&] { H5File::from_bytes({}, "m.h5"); }, {"m.h5", "empty"});
}

#include "io/hdf5_test_files.inc"

TEST(Hdf5, RefusesLinksByName) {
  H5File file = H5File::from_bytes(soft_link_file(), "l.h5");
  EXPECT_EQ(file.root().read("a").as<int64_t>()[2], 2);
  expect_error<ValueError>([&] { file.root().read("soft"); }, {"l.h5: /soft", "soft link"});
  expect_error<ValueError>([&] { file.root().members(); }, {"soft link"});
  file = H5File::from_bytes(external_link_file(), "l.h5");
  expect_error<ValueError>([&] { file.root().read("ext/x"); }, {"l.h5: /ext", "another file"});
  expect_error<ValueError>([&] { H5File::from_bytes(external_data_file(), "l.h5"); }, {"l.h5: /x", "other files"});
}

TEST(Hdf5, ReadsPackedAndSwappedData) {
  H5Group root = H5File::from_bytes(packed_file(), "p.h5").root();
  Array gz = root.read("gz"), be = root.read("be");
  ASSERT_EQ(gz.shape, (Shape{5, 4}));
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(gz.as<float>()[i], static_cast<float>(i));
  EXPECT_EQ(be, Array(Shape{3}, std::vector<int16_t>{1, -2, 300}));
  EXPECT_EQ(root.read("bool"), Array(Shape{2}, std::span<const bool>({true, false})));
  EXPECT_EQ(root.read("bf").dtype, DType::BFloat16);
  EXPECT_EQ(static_cast<float>(root.read("bf").as<bfloat16_t>()[1]), 2.5f);
  expect_error<ValueError>([&] { root.read("str"); }, {"p.h5: /str", "strings"});
  expect_error<ValueError>([&] { root.read("cplx"); }, {"p.h5: /cplx", "compound"});
  EXPECT_EQ(root.attr("S"), Value(List{"abc", "d"}));
  damage(
      packed_file(), [](Bytes b) { read_all(H5File::from_bytes(std::move(b), "p.h5").root()); }, 1500);
}

TEST(Hdf5, ReadsTablesInFractalHeaps) {
  H5Group root = H5File::from_bytes(dense_file(), "d.h5").root();
  EXPECT_EQ(root.members().size(), 12u);
  EXPECT_EQ(root.attr_names().size(), 12u);
  EXPECT_EQ(root.read("layer_11").as<float>()[0], 11);
  EXPECT_EQ(root.attr_string("attr_7"), "v7");
  damage(
      dense_file(), [](Bytes b) { read_all(H5File::from_bytes(std::move(b), "d.h5").root()); }, 1500);
}

TEST(Hdf5, RefusesGroupsInCirclesAndWithoutEnd) {
  std::string path = std::string(KERAS_SOURCE_DIR) + "/tests/fuzz/findings/hdf5/group_that_holds_itself.h5";
  expect_error<ValueError>([&] { H5File::open(path); }, {path.c_str(), "two names", "circles"});
  std::string deep = "g";
  for (int i = 0; i < 600; ++i) deep += "/g";
  H5File file = H5File::create_in_memory();
  file.root().create_group(deep);
  expect_error<ValueError>([&] { H5File::from_bytes(file.bytes(), "deep.h5"); }, {"deep.h5", "more than 500 deep"});
}

TEST(Hdf5, RefusesShapesWithoutData) {
  expect_error<ValueError>([&] { H5File::from_bytes(bomb_file(), "b.h5").root().read("x"); }, {"b.h5: /x", "(8589934592,)", "bomb"});
}

TEST(Hdf5, SurvivesDamage) {
  damage(
      sample_file().bytes(), [](Bytes b) { read_all(H5File::from_bytes(std::move(b), "m.h5").root()); }, 1500);
}

TEST(Hdf5, ServesManyThreads) {
  H5File file = H5File::from_bytes(sample_file().bytes(), "m.h5");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([root = file.root()] {
      for (int i = 0; i < 20; ++i) read_all(root.group("all"));
      for (int i = 0; i < 20; ++i) EXPECT_THROW(root.read("none"), ValueError);
    });
  for (auto& thread : threads) thread.join();
}

TEST(Hdf5, ReadsKerasWeights) {
  auto files = corpus_models("model.weights.h5");
  KERAS_NEEDS_CORPUS(files);
  size_t arrays = 0;
  for (const auto& path : files) {
    H5File file = H5File::open(path);
    arrays += read_all(file.root());
    auto keras_path = std::filesystem::path(path).parent_path() / "model.keras";
    if (std::filesystem::exists(keras_path))
      read_all(H5File::from_bytes(ZipReader(keras_path.string()).read("model.weights.h5"), "zip").root());
  }
  EXPECT_GT(arrays, 50u);
}

TEST(Hdf5, ReadsKerasLegacyFiles) {
  auto files = corpus_models("model.h5");
  KERAS_NEEDS_CORPUS(files);
  for (const auto& path : files) {
    H5Group root = H5File::open(path).root();
    EXPECT_NE(root.attr_string("keras_version"), "");
    EXPECT_TRUE(parse_json(root.attr_string("model_config"), path).is_dict());
    H5Group weights = root.group("model_weights");
    for (const auto& layer : weights.attr_strings("layer_names"))
      for (const auto& weight : weights.attr_strings("weight_names", layer))
        EXPECT_NO_THROW(weights.group(layer).read(weight)) << path << weight;
  }
}

TEST(Hdf5, KerasFilesSurviveDamage) {
  for (const char* name : {"model.h5", "model.weights.h5"}) {
    auto files = corpus_models(name);
    KERAS_NEEDS_CORPUS(files);
    for (size_t i = 0; i < files.size(); i += 3)
      damage(
          read_file(files[i]), [](Bytes b) { read_all(H5File::from_bytes(std::move(b), "m.h5").root()); }, 250, 40);
  }
}

}  // namespace
}  // namespace keras::io
