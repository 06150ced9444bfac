#include "layers/registry.h"

#include "layers/activation/activation_layer.h"
#include "layers/avgpool/avgpool.h"
#include "layers/batchnorm/batchnorm.h"
#include "layers/connected/connected.h"
#include "layers/contrastive/contrastive.h"
#include "layers/conv_lstm/conv_lstm.h"
#include "layers/convolutional/convolutional.h"
#include "layers/cost/cost.h"
#include "layers/crnn/crnn.h"
#include "layers/crop/crop.h"
#include "layers/detection/detection.h"
#include "layers/dropout/dropout.h"
#include "layers/empty/empty.h"
#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "layers/history/history.h"
#include "layers/implicit/implicit.h"
#include "layers/local/local.h"
#include "layers/local_avgpool/local_avgpool.h"
#include "layers/maxpool/maxpool.h"
#include "layers/normalization/normalization.h"
#include "layers/region/region.h"
#include "layers/reorg/reorg.h"
#include "layers/route/route.h"
#include "layers/sam/sam.h"
#include "layers/scale_channels/scale_channels.h"
#include "layers/shortcut/shortcut.h"
#include "layers/softmax/softmax.h"
#include "layers/upsample/upsample.h"
#include "layers/yolo/yolo.h"

namespace dn {
namespace {

constexpr LayerType kTypes[] = {
    layer_type<ActivationLayer>("activation"),
    layer_type<Avgpool>("avgpool"),
    layer_type<Batchnorm>("batchnorm"),
    layer_type<Connected>("connected"),
    layer_type<Contrastive>("contrastive"),
    composed_layer_type<ConvLstm, Convolutional>("conv_lstm"),
    layer_type<Convolutional>("convolutional"),
    layer_type<Cost>("cost"),
    composed_layer_type<Crnn, Convolutional>("crnn"),
    layer_type<Crop>("crop"),
    layer_type<DetectionHead>("detection"),
    layer_type<Dropout>("dropout"),
    layer_type<Empty>("empty"),
    layer_type<GaussianYolo>("gaussian_yolo"),
    layer_type<History>("history"),
    layer_type<Implicit>("implicit"),
    layer_type<Local>("local"),
    layer_type<LocalAvgpool>("local_avgpool"),
    layer_type<Maxpool>("maxpool"),
    layer_type<Normalization>("normalization"),
    layer_type<Region>("region"),
    layer_type<Reorg>("reorg"),
    layer_type<Reorg>("reorg3d"),
    layer_type<Route>("route"),
    layer_type<Sam>("sam"),
    layer_type<ScaleChannels>("scale_channels"),
    layer_type<Shortcut>("shortcut"),
    layer_type<Softmax>("softmax"),
    layer_type<Upsample>("upsample"),
    layer_type<Yolo>("yolo"),
};

}  // namespace

std::span<const LayerType> layer_types() { return kTypes; }

const LayerType* find_layer_type(std::string_view name) {
  for (const LayerType& type : kTypes)
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace dn
