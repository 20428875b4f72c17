// What lives here: the layers that preprocess data as parts of models: vocabularies and statistics in files, images changed while training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include <keras/layers/convolutional/conv.h>
#include <keras/layers/core/dense.h>
#include <keras/layers/core/embedding.h>
#include <keras/layers/core/input_layer.h>
#include <keras/layers/pooling/pooling.h>
#include <keras/layers/preprocessing/category.h>
#include <keras/layers/preprocessing/image_mixing.h>
#include <keras/layers/preprocessing/lookup.h>
#include <keras/layers/preprocessing/normalization.h>
#include <keras/layers/preprocessing/random_color.h>
#include <keras/layers/preprocessing/random_geometry.h>
#include <keras/models/model.h>
#include <keras/random.h>
#include <keras/saving.h>

namespace keras {
namespace {

using namespace layers;

std::string file_in_temp(const char* name) {
  static int n = 0;
  return (std::filesystem::temp_directory_path() /
          ("keras_preprocessing_" + std::to_string(::getpid()) + "_" + std::to_string(n++) + "_" + name))
      .string();
}
Model saved_and_loaded(const Model& model, const char* name) {
  std::string path = file_in_temp(name);
  saving::save_model(model, path);
  Model loaded = saving::load_model(path);
  std::filesystem::remove(path);
  return loaded;
}

TEST(PreprocessingInModels, LearnedVocabularyOfNumbersTravels) {
  IntegerLookup lookup;
  lookup.adapt(Tensor{5, 5, 7, 7, 7, 9});
  Sequential model({Input({3}, {.dtype = "int32"}), lookup, Embedding(4, 2)});
  Tensor x{{5, 7, 9}, {1, 7, 5}};
  std::vector<float> y = Tensor(model(x)).to_vector<float>();
  EXPECT_EQ(model.predict(x).to_vector<float>(), y);
  Model loaded = saved_and_loaded(model, "numbers.keras");
  EXPECT_EQ(Tensor(loaded(x)).to_vector<float>(), y);
  EXPECT_EQ(IntegerLookup(loaded.layers().at(0)).get_vocabulary(), (std::vector<int64_t>{-1, 7, 5, 9}));
}
TEST(PreprocessingInModels, LearnedVocabularyOfTextTravels) {
  for (const char* mode : {"int", "count", "tf_idf"}) {
    TextVectorization text({.output_mode = mode});
    text.adapt(StringArray({"a b c", "a b", "a"}));
    Model loaded = saved_and_loaded(Sequential({text}), "text.keras");
    TextVectorization again(loaded.layers().at(0));
    EXPECT_EQ(again.get_vocabulary(), text.get_vocabulary()) << mode;
    StringArray in({"a c z", "b"});
    EXPECT_EQ(again(in).to_vector<float>(), text(in).to_vector<float>()) << mode;
  }
}
TEST(PreprocessingInModels, StatisticsAndBoundariesTravel) {
  Tensor x{{1.0, 20.0}, {3.0, 60.0}, {2.0, 10.0}, {5.0, 0.0}}, t{{1.0}, {0.0}, {0.0}, {1.0}};
  Normalization norm;
  norm.adapt(x);
  Sequential model({Input({2}), norm, Dense(1)});
  model.compile({.optimizer = "sgd", .loss = "mse"});
  model.fit(x, t, {.epochs = 2, .verbose = 0});
  EXPECT_EQ(model.trainable_weights().size(), 2u);
  EXPECT_NEAR(norm.weights().at(0).value().to_vector<float>().at(0), 2.75, 1e-6);
  Model loaded = saved_and_loaded(model, "norm.keras");
  EXPECT_EQ(Tensor(loaded(x)).to_vector<float>(), Tensor(model(x)).to_vector<float>());

  Discretization bins({.num_bins = 3, .output_mode = "one_hot"});
  bins.adapt(x);
  Sequential coded({Input({2}), bins});
  Model again = saved_and_loaded(coded, "bins.keras");
  EXPECT_EQ(Tensor(again(x)).to_vector<float>(), Tensor(coded(x)).to_vector<float>());
}
TEST(PreprocessingInModels, ImagesChangeInTrainingAlone) {
  utils::set_random_seed(3);
  Sequential model({Input({8, 8, 3}), RandomFlip("horizontal", {.seed = 1}), RandomRotation(0.1, {.seed = 2}),
                    RandomContrast(0.5, {.value_range = {0, 1}, .seed = 3}), RandAugment({.value_range = {0, 1}, .seed = 4}), Conv2D(4, 3),
                    GlobalAveragePooling2D(), Dense(1)});
  Tensor x = random::uniform({16, 8, 8, 3}, {.seed = 5}), t = random::uniform({16, 1}, {.seed = 6});
  std::vector<float> before = model.predict(x).to_vector<float>();
  EXPECT_EQ(model.predict(x).to_vector<float>(), before);
  model.compile({.optimizer = "adam", .loss = "mse"});
  model.fit(x, t, {.epochs = 3, .verbose = 0});
  EXPECT_NE(model.predict(x).to_vector<float>(), before);
  // Not to the bit: what is called once has no kept weights, and its convolution is another kernel.
  EXPECT_THAT(model.predict(x).to_vector<float>(), testing::Pointwise(testing::FloatNear(1e-5f), Tensor(model(x, {.training = false})).to_vector<float>()));
  Model loaded = saved_and_loaded(model, "images.keras");
  EXPECT_EQ(loaded.predict(x).to_vector<float>(), model.predict(x).to_vector<float>());
}

}  // namespace
}  // namespace keras
