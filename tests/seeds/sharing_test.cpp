// What lives here: seeds S20 to S28: shared layers and nodes, Embedding, Model and Layer.
#include <unistd.h>

#include <cstring>

#include "seeds/seeds.h"

using namespace keras;
using namespace keras::layers;
using namespace keras::seeds;
using ::testing::HasSubstr;

TEST(Seeds, S20_OneLstmOnTwoInputs) {
  Tensor a = Input({280, 128}), b = Input({250, 128});
  LSTM lstm(32);
  Tensor ya = lstm(a), yb = lstm(b);
  EXPECT_EQ(lstm.num_nodes(), 2);
  EXPECT_EQ(lstm.get_input_shape_at(0), (Shape{None, 280, 128}));
  EXPECT_EQ(lstm.get_input_shape_at(1), (Shape{None, 250, 128}));
  EXPECT_EQ(lstm.get_output_shape_at(0), (Shape{None, 32}));
  EXPECT_EQ(lstm.get_output_shape_at(1), (Shape{None, 32}));
  EXPECT_TRUE(lstm.get_input_at(0).same(a));
  EXPECT_TRUE(lstm.get_input_at(1).same(b));
  EXPECT_TRUE(lstm.get_output_at(0).same(ya));
  EXPECT_TRUE(lstm.get_output_at(1).same(yb));
  EXPECT_EQ(lstm.weights().size(), 3u);
  EXPECT_EQ(lstm.count_params(), 4 * 32 * (128 + 32 + 1));
  Model model({a, b}, Tensors{ya, yb});
  EXPECT_EQ(model.count_params(), lstm.count_params());

  // Gradients from both calls add up.
  LSTM small(3);
  Tensor u = some({2, 5, 4}), v = some({2, 3, 4}, DType::Float32, 8);
  small.build_for({None, 5, 4});
  auto gradient = [&](bool first, bool second) {
    GradientTape tape;
    Tensor target = 0.0f;
    if (first) target = target + ops::sum(ops::square(small(u)));
    if (second) target = target + ops::sum(small(v));
    return tape.gradient(target, small.trainable_variables());
  };
  Tensors both = gradient(true, true), one = gradient(true, false), two = gradient(false, true);
  ASSERT_EQ(both.size(), 3u);
  for (size_t i = 0; i < 3; ++i) expect_near(both[i], ops::add(one[i], two[i]), 1e-5);
}

TEST(Seeds, S21_ErrorsOfSharedLayers) {
  utils::clear_session();
  Tensor a = Input({280, 128}), b = Input({250, 128});
  LSTM lstm(32, {.name = "encoder"});
  Tensor ya = lstm(a);
  EXPECT_TRUE(lstm.output().same(ya));
  EXPECT_TRUE(lstm.input().same(a));
  std::string error = error_of<ValueError>([&] { lstm(Input({280, 64})); });
  EXPECT_THAT(error, HasSubstr("encoder"));
  EXPECT_THAT(error, HasSubstr("128"));
  EXPECT_THAT(error, HasSubstr("64"));
  lstm(b);
  EXPECT_THAT(error_of<ValueError>([&] { lstm.output(); }), HasSubstr("get_output_at"));
  EXPECT_THAT(error_of<ValueError>([&] { lstm.input(); }), HasSubstr("get_input_at"));
  EXPECT_THAT(error_of<ValueError>([&] { lstm.output_shape(); }), HasSubstr("get_output_shape_at"));
  for (int index : {2, -1, 100}) {
    std::string past = error_of<ValueError>([&] { lstm.get_output_at(index); });
    EXPECT_THAT(past, HasSubstr("2 nodes"));
    EXPECT_THAT(past, HasSubstr("encoder"));
  }
  EXPECT_THAT(error_of<ValueError>([&] { lstm.get_input_shape_at(2); }), HasSubstr("2 nodes"));
}

TEST(Seeds, S22_SiameseModelTrainsSavesLoadsAndStillShares) {
  utils::set_random_seed(3);
  Tensor a = Input({6, 2}, {.name = "left"}), b = Input({6, 2}, {.name = "right"});
  LSTM encoder(5, {.name = "encoder"});
  Tensor merged = Concatenate()({encoder(a), encoder(b)});
  Model model({a, b}, Dense(1, {.activation = "sigmoid"})(merged));
  model.compile({.optimizer = "adam", .loss = "binary_crossentropy"});
  // 4 * 5 * (2 + 5 + 1) once, and 10 + 1.
  EXPECT_EQ(model.count_params(), 160 + 11);

  Tensor left = some({64, 6, 2}), right = some({64, 6, 2}, DType::Float32, 8);
  Tensor same = ops::cast(ops::get_item(left, {Slice{}, 0, 0}) * ops::get_item(right, {Slice{}, 0, 0}) > 0.0f, DType::Float32);
  Tensors before = encoder.get_weights();
  auto history = model.fit(Tensors{left, right}, same, {.batch_size = 16, .epochs = 4, .verbose = 0});
  EXPECT_LT((*history)["loss"].back(), (*history)["loss"].front());
  EXPECT_NE(numbers(before[0]), numbers(encoder.get_weights()[0]));

  std::string path = scratch_file("siamese.keras");
  model.save(path);
  Model again = models::load_model(path);
  expect_near(again.predict(Tensors{left, right}), model.predict(Tensors{left, right}), 0);
  EXPECT_EQ(again.count_params(), model.count_params());
  Layer loaded = again.get_layer("encoder");
  EXPECT_EQ(loaded.num_nodes(), 2);
  // Still one set: what training moves is seen by both calls. The two encodings of one sequence stay equal.
  again.fit(Tensors{left, right}, same, {.batch_size = 16, .epochs = 1, .verbose = 0});
  EXPECT_EQ(again.get_layer("encoder").weights().size(), 3u);
  Model encodings(again.inputs(), Tensors{loaded.get_output_at(0), loaded.get_output_at(1)});
  Tensors pair = encodings.predict_all(Tensors{left, left});
  expect_same_bits(pair[0], pair[1]);
  std::filesystem::remove(path);
}

TEST(Seeds, S23_EmbeddingPredictsRowsOfItsTable) {
  Embedding embedding(4, 5, {.input_length = 7});
  Sequential model({embedding});
  model.compile({.optimizer = "rmsprop", .loss = "mse"});
  const std::vector<int> ids = {0, 1, 0, 1, 1, 0, 3};
  Tensor out = model.predict(Tensor{{0, 1, 0, 1, 1, 0, 3}});
  ASSERT_EQ(out.shape(), (Shape{1, 7, 5}));
  Tensor table = embedding.embeddings().value();
  ASSERT_EQ(table.shape(), (Shape{4, 5}));
  Tensor rows = out.row(0);
  for (int64_t i = 0; i < 7; ++i) {
    expect_same_bits(rows.row(i), table.row(ids[static_cast<size_t>(i)]));
    for (int64_t j = 0; j < 7; ++j) EXPECT_EQ(numbers(rows.row(i)) == numbers(rows.row(j)), ids[static_cast<size_t>(i)] == ids[static_cast<size_t>(j)]);
  }
}

TEST(Seeds, S24_TheWholeSignatureOfEmbedding) {
  Embedding e(10, 3,
              {.embeddings_initializer = "uniform",
               .embeddings_regularizer = regularizers::L2(0.5),
               .activity_regularizer = regularizers::L1(0.25),
               .embeddings_constraint = "non_neg",
               .mask_zero = true,
               .input_length = 7});
  Dict config = e.config();
  for (const char* key : {"input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "activity_regularizer", "embeddings_constraint", "mask_zero"})
    EXPECT_TRUE(config.contains(key)) << key;
  EXPECT_EQ(config.at("mask_zero").as_bool(), true);
  EXPECT_TRUE(e.supports_masking());
  EXPECT_EQ(EmbeddingOptions{}.embeddings_initializer.object()->class_name(), "RandomUniform");
  // Regularisers count: the table's on the model's loss.
  Sequential m({e});
  EXPECT_EQ(m.layers()[0].output_shape(), (Shape{None, 7, 3}));
  double sum = 0;
  for (double v : numbers(e.embeddings())) sum += 0.5 * v * v;
  EXPECT_NEAR(e.losses().at(0).item(), sum, 1e-6);
  m.compile({.optimizer = optimizers::SGD({.learning_rate = 1.0}), .loss = "mse"});
  m.train_on_batch(Tensor::full({2, 7}, 4, DType::Int32), Tensor::full({2, 7, 3}, -5));
  for (double v : numbers(e.embeddings())) EXPECT_GE(v, 0.0);

  // input_length lets Flatten and Dense follow.
  Sequential chain({Embedding(10, 3, {.input_length = 7}), Flatten(), Dense(2)});
  EXPECT_EQ(chain.get_layer(1).output_shape(), (Shape{None, 21}));
  EXPECT_EQ(chain.get_layer(2).count_params(), 21 * 2 + 2);
  EXPECT_EQ(chain.predict(Tensor::full({4, 7}, 9, DType::Int32)).shape(), (Shape{4, 2}));
  EXPECT_NE(error_of<ValueError>([] {
              Tensor free = Input({None}, {.dtype = "int32"});
              Dense(2)(Flatten()(Embedding(10, 3)(free)));
            }),
            "");
  // Outside the table: an error that names the index, in a call, in predict and in fit.
  for (int index : {10, -1, 1 << 30}) {
    std::string name = std::to_string(index);
    EXPECT_THAT(error_of<ValueError>([&] { Embedding(10, 3)(Tensor{{0, index}}); }), HasSubstr(name));
    Tensor ids = Tensor::full({1, 7}, index, DType::Int32);
    EXPECT_THAT(error_of<ValueError>([&] { chain.predict(ids); }), HasSubstr(name));
  }
  chain.compile({.optimizer = "sgd", .loss = "mse"});
  Tensors before = chain.get_weights();
  EXPECT_THAT(error_of<ValueError>([&] { chain.fit(Tensor::full({1, 7}, 10, DType::Int32), Tensor::full({1, 2}, 0), {.verbose = 0}); }), HasSubstr("10"));
  for (size_t i = 0; i < before.size(); ++i) expect_same_bits(before[i], chain.get_weights()[i]);
}

TEST(Seeds, S25_PretrainedAndFrozenVectors) {
  Tensor matrix = some({4, 3});
  Embedding given(4, 3, {.trainable = false, .weights = {matrix}}), set(4, 3);
  set.build_for({None, 2});
  set.set_weights({matrix});
  Tensor ids = {{0, 3}};
  expect_same_bits(given(ids), set(ids));
  expect_same_bits(Tensor(given(ids)).row(0).row(1), matrix.row(3));
  EXPECT_TRUE(given.trainable_weights().empty());
  EXPECT_EQ(given.non_trainable_weights().size(), 1u);
  EXPECT_THAT(error_of<ValueError>([&] { set.set_weights({Tensor::full({4, 2}, 1)}); }), HasSubstr("(4, 2)"));

  Dense head(1);
  Sequential model({Input({2}, {.dtype = "int32"}), given, Flatten(), head});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  Tensors dense_before = head.get_weights();
  model.fit(ids, Tensor{{3.0f}}, {.epochs = 3, .verbose = 0});
  expect_same_bits(given.get_weights()[0], matrix);
  EXPECT_NE(numbers(dense_before[0]), numbers(head.get_weights()[0]));
}

TEST(Seeds, S26_PaddedStepsDoNotChangeTheLstm) {
  for (bool bidirectional : {false, true}) {
    Embedding embedding(10, 4, {.mask_zero = true});
    Layer lstm = bidirectional ? Layer(Bidirectional(LSTM(3))) : Layer(LSTM(3));
    auto run = [&](const Tensor& ids) { return Tensor(lstm(embedding(ids))); };
    Tensor bare = run(Tensor{{5, 7, 2}}), post = run(Tensor{{5, 7, 2, 0, 0}}), pre = run(Tensor{{0, 0, 0, 5, 7, 2}});
    expect_near(post, bare, 1e-6);
    expect_near(pre, bare, 1e-6);
    // A model, whose padded batch may hold several lengths.
    Tensor x = Input({None}, {.dtype = "int32"});
    Model model(x, lstm(embedding(x)));
    Tensor batch = model.predict(Tensor{{5, 7, 2, 0, 0}, {5, 7, 2, 8, 1}});
    expect_near(batch.row(0), numbers(bare), 1e-6);
    EXPECT_NE(numbers(batch.row(0)), numbers(batch.row(1)));
    // Without the mask padding does change it.
    Embedding unmasked(10, 4);
    unmasked.build_for({None, 3});
    unmasked.set_weights(embedding.get_weights());
    EXPECT_NE(numbers(Tensor(lstm(unmasked(Tensor{{5, 7, 2, 0, 0}})))), numbers(bare));
  }
}

namespace {
struct Scaled : Layer {
  int64_t units;
  double factor;
  Variable kernel, bias, seen;
  Scaled(int64_t units, double factor, const std::string& name = "") : Layer("Scaled", name), units(units), factor(factor) {}
  void build(const Shape& input) override {
    kernel = add_weight({.name = "kernel", .shape = {input.back(), units}, .initializer = "glorot_uniform"});
    bias = add_weight({.name = "bias", .shape = {units}, .initializer = "zeros"});
    seen = add_weight({.name = "seen", .shape = {}, .initializer = "zeros", .trainable = false});
  }
  Tensor call(const Tensor& x, bool training) override {
    if (training) seen.assign_add(1.0f);
    return factor * (ops::matmul(x, kernel) + bias);
  }
  Dict get_config() const override { return {{"units", units}, {"factor", factor}}; }
};

struct Regressor : Model {
  Dense hidden{8, {.activation = "relu"}};
  Ref<Scaled> out;
  Regressor() : Model("Regressor"), out(make<Scaled>(1, 0.5)) {}
  Tensor call(const Tensor& x, bool training) override { return out(hidden(x), {.training = training}); }
};

template <class T> constexpr bool kFits = requires(T t, Tensor x) { t.fit(x, x); };
template <class T> constexpr bool kEvaluates = requires(T t, Tensor x) { t.evaluate(x, x); };
template <class T> constexpr bool kPredicts = requires(T t, Tensor x) { t.predict(x); };
template <class T> constexpr bool kHasLayers = requires(T t) { t.layers(); };
template <class T> constexpr bool kSummarises = requires(T t) { t.summary(); };
template <class T> constexpr bool kSaves = requires(T t) { t.save("x.keras"), t.save_weights("x.weights.h5"), t.load_weights("x.weights.h5"), t.to_json(); };
}  // namespace

TEST(Seeds, S27_OwnLayersAndModels) {
  static_assert(kFits<Model> && kEvaluates<Model> && kPredicts<Model> && kHasLayers<Model> && kSummarises<Model> && kSaves<Model>);
  static_assert(!kFits<Layer> && !kEvaluates<Layer> && !kPredicts<Layer> && !kHasLayers<Layer> && !kSummarises<Layer> && !kSaves<Layer>);
  register_layer("Scaled", [](const Dict& c) {
    return make<Scaled>(c.at("units").as_int(), c.at("factor").as_float(), c.contains("name") ? c.at("name").as_string() : "");
  });
  register_layer("Custom>Scaled", [](const Dict& c) {
    return make<Scaled>(c.at("units").as_int(), c.at("factor").as_float(), c.contains("name") ? c.at("name").as_string() : "");
  });
  utils::set_random_seed(5);
  Tensor x = some({64, 3}), y = ops::sum(x, 1, true);

  // A layer of one's own in a functional model: weights, config, file.
  Tensor in = Input({3});
  Model functional(in, Dense(1)(make<Scaled>(4, 2.0)(in)));
  Layer own = functional.get_layer(1);
  EXPECT_EQ(own.class_name(), "Scaled");
  EXPECT_EQ(own.weights().size(), 3u);
  EXPECT_EQ(own.trainable_weights().size(), 2u);
  EXPECT_EQ(own.count_params(), 3 * 4 + 4 + 1);
  EXPECT_EQ(own.config().at("units").as_int(), 4);
  EXPECT_EQ(own.config().at("factor").as_float(), 2.0);
  functional.compile({.optimizer = "adam", .loss = "mse"});
  functional.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0});
  EXPECT_EQ(own.get_weights()[2].item(), 8.0);  // four batches, two epochs
  std::string path = scratch_file("own.keras");
  functional.save(path);
  Model again = models::load_model(path);
  expect_near(again.predict(x), functional.predict(x), 0);
  EXPECT_EQ(again.get_layer(1).get_weights()[2].item(), 8.0);
  std::filesystem::remove(path);
  Model from_json = models::model_from_json(functional.to_json());
  EXPECT_EQ(from_json.count_params(), functional.count_params());

  // A model by subclassing.
  auto model = make<Regressor>();
  model->compile({.optimizer = optimizers::Adam({.learning_rate = 0.02}), .loss = "mse", .metrics = {"mae"}});
  auto history = model->fit(x, y, {.batch_size = 16, .epochs = 20, .verbose = 0});
  EXPECT_LT((*history)["loss"].back(), 0.5 * (*history)["loss"].front());
  Logs logs = model->evaluate(x, y, {.verbose = 0});
  EXPECT_TRUE(logs.contains("loss"));
  EXPECT_TRUE(logs.contains("mae"));
  Tensor p = model->predict(x);
  EXPECT_EQ(p.shape(), (Shape{64, 1}));
  double mse = 0;
  for (size_t i = 0; i < 64; ++i) mse += std::pow(numbers(p)[i] - numbers(y)[i], 2) / 64;
  EXPECT_NEAR(logs.at("loss"), mse, 1e-5);
  EXPECT_EQ(model->layers().size(), 2u);
  EXPECT_THAT(model->summary_text(), HasSubstr("Total params"));
  EXPECT_EQ(model->count_params(), 3 * 8 + 8 + 8 + 1 + 1);
  std::string weights = scratch_file("regressor.weights.h5");
  model->save_weights(weights);
  auto other = make<Regressor>();
  other->predict(x);  // builds it
  other->load_weights(weights);
  expect_near(other->predict(x), p, 0);
  std::filesystem::remove(weights);
}

TEST(Seeds, S28_ReusingALayerReusesItsWeights) {
  Dense dense(4);
  Tensor x = Input({3});
  Tensor first = dense(x), second = dense(x);
  Model model(x, Tensors{first, second});
  EXPECT_EQ(dense.num_nodes(), 2);
  EXPECT_EQ(model.weights().size(), 2u);
  EXPECT_EQ(model.count_params(), 16);
  Tensor in = some({5, 3});
  Tensors out = model.predict_all(in);
  expect_same_bits(out[0], out[1]);
  expect_same_bits(Tensor(dense(in)), Tensor(dense(in)));
  Tensors before = dense.get_weights();
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}), .loss = "mse"});
  Tensor target = some({5, 4}, DType::Float32, 8);
  model.train_on_batch(in, Tensors{target, target});
  EXPECT_NE(numbers(before[0]), numbers(dense.get_weights()[0]));
  Tensors after = model.predict_all(in);
  expect_same_bits(after[0], after[1]);
  EXPECT_NE(numbers(out[0]), numbers(after[0]));
  // The step is that of both losses together: kernel -= rate * (g + g).
  Dense alone(4);
  alone.build_for({None, 3});
  alone.set_weights(before);
  GradientTape tape;
  Tensors g = tape.gradient(ops::mean(ops::square(Tensor(alone(in)) - target)), alone.trainable_variables());
  expect_near(dense.get_weights()[0], ops::subtract(before[0], ops::multiply(g[0], 0.2f)), 1e-5);
  // Another layer of the same settings has weights of its own.
  Dense separate(4);
  separate(x);
  EXPECT_FALSE(separate.kernel().same(dense.kernel()));
}
