#include "layers/empty/empty.h"

namespace dn {

std::unique_ptr<Empty> Empty::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Empty> layer(new Empty(section, index, problems));
  finish(section, problems);
  return layer;
}

std::unique_ptr<Kernel> Empty::compile_cpu(const Empty& layer, cpu::Device&, const KernelArgs&) {
  ensure(false, concat(layer.where(), ": a view has no kernel"));
  return nullptr;
}

}  // namespace dn
