// What lives here: `{}` for options, wherever options can stand. That it compiles is the test; the objects are those made without it.
#include <gtest/gtest.h>

#include <keras/keras.h>

namespace keras {
namespace {

TEST(EmptyOptionsTest, Optimizers) {
  // C++ could read `Adam({})` as a copy of an Adam made from `{}`.
#define KERAS_CASE(Name) EXPECT_EQ(optimizers::Name({}).get_config().at("learning_rate"), optimizers::Name().get_config().at("learning_rate"));
  KERAS_BUILTIN_OPTIMIZERS(KERAS_CASE)
#undef KERAS_CASE
  EXPECT_EQ(optimizers::LossScaleOptimizer("adam", {}).inner_optimizer()->class_name(), "Adam");
}

TEST(EmptyOptionsTest, LossesAndMetrics) {
#define KERAS_CASE(Name) EXPECT_EQ(losses::Name({}).get_config(), losses::Name().get_config());
  KERAS_BUILTIN_LOSSES(KERAS_CASE)
#undef KERAS_CASE
#define KERAS_CASE(Name) EXPECT_EQ(metrics::Name({}).get_config(), metrics::Name().get_config());
  KERAS_BUILTIN_MEANS(KERAS_CASE)
  KERAS_CASE(Sum)
  KERAS_CASE(Mean)
  KERAS_CASE(RootMeanSquaredError)
  KERAS_CASE(R2Score)
  KERAS_CASE(F1Score)
  KERAS_CASE(FBetaScore)
#undef KERAS_CASE
  EXPECT_EQ(metrics::Precision({}).name().substr(0, 9), "precision");
  EXPECT_EQ(metrics::Recall({}).name().substr(0, 6), "recall");
  EXPECT_EQ(metrics::TruePositives({}).name().substr(0, 14), "true_positives");
  EXPECT_EQ(metrics::AUC({}).get_config().at("curve"), metrics::AUC().get_config().at("curve"));
  EXPECT_EQ(metrics::BinaryIoU({}).get_config().at("threshold"), metrics::BinaryIoU().get_config().at("threshold"));
  EXPECT_EQ(metrics::MeanIoU(3, {}).variables().size(), 1u);
}

TEST(EmptyOptionsTest, PartsOfLayers) {
  EXPECT_EQ(initializers::GlorotUniform({}).serialize().get("class_name"), Value("GlorotUniform"));
  EXPECT_EQ(initializers::Orthogonal({}).serialize().get("class_name"), Value("Orthogonal"));
  EXPECT_EQ(constraints::MaxNorm({}).serialize(), constraints::MaxNorm().serialize());
  EXPECT_EQ(constraints::UnitNorm({}).serialize(), constraints::UnitNorm().serialize());
  EXPECT_EQ(regularizers::L1L2({}).serialize(), regularizers::L1L2().serialize());
}

TEST(EmptyOptionsTest, Layers) {
  std::vector<Layer> made = {
      layers::Dense(10, {}), layers::Conv2D(3, 3, {}), layers::Conv2D(3, {3, 3}, {}), layers::LSTM(4, {}), layers::GRU(4, {}), layers::SimpleRNN(4, {}),
      layers::Flatten({}), layers::Reshape({2, 3}, {}), layers::Dropout(0.5, {}), layers::SpatialDropout2D(0.5, {}), layers::BatchNormalization({}),
      layers::LayerNormalization({}), layers::GroupNormalization({}), layers::RMSNormalization({}), layers::UnitNormalization({}), layers::MaxPooling2D({}),
      layers::MaxPooling2D(2, {}), layers::GlobalAveragePooling2D({}), layers::ZeroPadding2D({}), layers::ZeroPadding2D(1, {}), layers::UpSampling2D({}),
      layers::Add({}), layers::Average({}), layers::Dot(1, {}), layers::ReLU({}), layers::LeakyReLU({}), layers::PReLU({}),
      layers::ELU({}), layers::Softmax({}), layers::Masking({}), layers::Embedding(3, 2, {}), layers::EinsumDense("ab,bc->ac", {3}, {}), layers::Attention({}),
      layers::AdditiveAttention({}), layers::MultiHeadAttention(2, 2, {}), layers::Identity({}), layers::ActivityRegularization({}),
      layers::TimeDistributed(layers::Dense(2), {}), layers::Bidirectional(layers::LSTM(2), {})};
  for (const Layer& l : made) EXPECT_TRUE(l.trainable()) << l.class_name();
  EXPECT_TRUE(Input({3}, {}).is_symbolic());
  Sequential model({});
  callbacks::EarlyStopping stopping({});
  callbacks::ReduceLROnPlateau plateau({});
}

}  // namespace
}  // namespace keras
