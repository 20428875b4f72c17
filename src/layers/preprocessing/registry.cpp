// What lives here: the list of the layer classes of this folder.
#include "layers/registry.h"

#include <keras/layers/preprocessing/category.h>
#include <keras/layers/preprocessing/image_mixing.h>
#include <keras/layers/preprocessing/lookup.h>
#include <keras/layers/preprocessing/max_num_bounding_boxes.h>
#include <keras/layers/preprocessing/normalization.h>
#include <keras/layers/preprocessing/pipeline.h>
#include <keras/layers/preprocessing/random_color.h>
#include <keras/layers/preprocessing/random_geometry.h>
#include <keras/layers/preprocessing/rescaling.h>
#include <keras/layers/preprocessing/resizing.h>
#include <keras/layers/preprocessing/spectrogram.h>

namespace keras::layers {

std::vector<LayerClass> preprocessing_layers() {
#define X(cls) \
  { #cls, cls::from_config }
  return {X(Normalization),
          X(CategoryEncoding),
          X(Discretization),
          X(Hashing),
          X(HashedCrossing),
          X(StringLookup),
          X(IntegerLookup),
          X(TextVectorization),
          X(STFTSpectrogram),
          X(MelSpectrogram),
          X(Pipeline),
          X(Rescaling),
          X(Resizing),
          X(CenterCrop),
          X(RandomCrop),
          X(RandomFlip),
          X(RandomRotation),
          X(RandomTranslation),
          X(RandomZoom),
          X(RandomShear),
          X(RandomPerspective),
          X(RandomElasticTransform),
          X(RandomContrast),
          X(RandomBrightness),
          X(RandomHue),
          X(RandomSaturation),
          X(RandomGrayscale),
          X(RandomColorDegeneration),
          X(RandomColorJitter),
          X(RandomPosterization),
          X(RandomSharpness),
          X(RandomGaussianBlur),
          X(RandomInvert),
          X(Solarization),
          X(Equalization),
          X(AutoContrast),
          X(ContrastLimitedAdaptiveHistogramEqualization),
          X(RandomErasing),
          X(MaxNumBoundingBoxes),
          X(MixUp),
          X(CutMix),
          X(RandAugment),
          X(AugMix)};
#undef X
}

}  // namespace keras::layers
