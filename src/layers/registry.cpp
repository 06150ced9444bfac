#include "layers/registry.h"

#include "layers/batchnorm/batchnorm.h"
#include "layers/connected/connected.h"
#include "layers/convolutional/convolutional.h"
#include "layers/yolo/yolo.h"

namespace dn {
namespace {

constexpr LayerType kTypes[] = {
    layer_type<Batchnorm>("batchnorm"),
    layer_type<Connected>("connected"),
    layer_type<Convolutional>("convolutional"),
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
