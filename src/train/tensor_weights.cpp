#include "train/tensor_weights.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/log.h"
#include "train/safetensors.h"
#include "train/structure.h"
#include "train/weights_rules.h"

namespace dn {
namespace {

constexpr std::string_view kFormat = "darknet_format", kFormatVersion = "1", kProgram = "darknet_version", kSeen = "seen", kLayers = "layers",
                           kStructure = "structure_fnv1a64", kUpdates = "norm_updates";

// A tensor that the network has, and where the file has it.
struct Slot {
  const Layer* layer = nullptr;
  const ParamSegment* segment = nullptr;
  const TensorEntry* entry = nullptr;  // nullptr: not there
};

std::string member(const Layer& layer, std::string_view name) { return concat(layer.index(), ".", layer.type(), ".", name); }

std::string place(const std::string& file, const Slot& slot) {
  return concat(file, ": layer ", slot.layer->index(), " [", slot.layer->type(), "] ", slot.segment->spec.name);
}

std::vector<size_t> shape_of(const ParamSpec& spec) {
  if (spec.shape.empty()) return {spec.count};
  size_t product = 1;
  for (const size_t side : spec.shape) product *= side;
  ensure(product == spec.count, "the shape of a parameter has its count");
  return spec.shape;
}

// In cfg order, of the layers with an index below `cutoff`.
std::vector<Slot> slots_of(const Network& network, int cutoff) {
  std::vector<Slot> slots;
  for (const ParamSegment& segment : network.params().segments())
    if (segment.layer < cutoff) slots.push_back({network.layers()[static_cast<size_t>(segment.layer)].get(), &segment, nullptr});
  return slots;
}

// The layer that a tensor's name begins with.
int64_t layer_of(const TensorEntry& tensor, const std::string& file) {
  const std::vector<std::string_view> parts = split(tensor.name, '.');
  const std::optional<int64_t> index = parse_integer(parts[0]);
  if (parts.size() != 3 || !index || *index < 0 || concat(*index) != parts[0])
    fail(file, ": tensor ", shown(tensor.name), ": expected a name like 17.convolutional.weights");
  return *index;
}

std::string why_unknown(const Network& network, const TensorEntry& tensor, int64_t index) {
  const auto layers = static_cast<int64_t>(network.layers().size());
  if (index >= layers) return concat("the cfg has ", layers, " layers, 0 to ", layers - 1);
  const Layer& layer = *network.layers()[static_cast<size_t>(index)];
  if (split(tensor.name, '.')[1] != layer.type()) return concat("layer ", index, " of the cfg is [", layer.type(), "]");
  std::string names;
  for (const ParamSegment* segment : network.params().of_layer(layer.index())) names += concat(names.empty() ? "" : ", ", segment->spec.name);
  return concat("that layer of the cfg has ", names.empty() ? "no tensors" : names);
}

std::string cut_hint(const std::string& file) {
  return concat("\nThe cfg and the file do not belong together. Nothing was loaded. To take over the first N layers:\n  darknet partial THIS.cfg ",
                file, " PART.safetensors N");
}

// Gives every slot its tensor. Throws Error when the file has tensors below the cutoff that the network does not know, or of another shape.
void match(std::vector<Slot>& slots, const SafetensorsHeader& header, const Network& network, const std::string& file, int cutoff) {
  std::unordered_map<std::string, Slot*> by_name;
  for (Slot& slot : slots) by_name.emplace(member(*slot.layer, slot.segment->spec.name), &slot);
  const TensorEntry* unknown = nullptr;
  int64_t first = 0;
  size_t unknown_count = 0;
  for (const TensorEntry& tensor : header.tensors) {
    const int64_t index = layer_of(tensor, file);
    if (index >= cutoff) continue;
    const auto found = by_name.find(tensor.name);
    if (found != by_name.end()) {
      found->second->entry = &tensor;
    } else {
      ++unknown_count;
      if (!unknown || index < first) unknown = &tensor, first = index;
    }
  }
  if (unknown)
    fail(file, ": tensor ", shown(unknown->name), unknown_count > 1 ? concat(" and ", unknown_count - 1, " more") : "", ": not in ", network.file(),
         ": ", why_unknown(network, *unknown, first), cut_hint(file));
  for (const Slot& slot : slots)
    if (slot.entry && slot.entry->shape != shape_of(slot.segment->spec))
      fail(place(file, slot), " is ", shape_text(slot.entry->shape), "; expected ", shape_text(shape_of(slot.segment->spec)), ", as ", network.file(),
           " has it", cut_hint(file));
}

// Number of layers whose tensors the file has; `all` when nothing is missing. Throws Error when one is missing before a layer that is there.
int layers_held(std::span<const Slot> slots, int all, const std::string& file) {
  const auto absent = [](const Slot& slot) { return !slot.entry; };
  const auto missing = std::find_if(slots.begin(), slots.end(), absent);
  if (missing == slots.end()) return all;
  const Layer* layer = missing->layer;
  const auto there = std::find_if(slots.begin(), slots.end(), [&](const Slot& slot) { return slot.entry && slot.layer->index() >= layer->index(); });
  if (there != slots.end())
    fail(place(file, *missing), " is missing; expected it, for ", member(*there->layer, there->segment->spec.name), " is there. Nothing was loaded.");
  if (std::all_of(slots.begin(), slots.end(), absent))
    fail(place(file, *missing), " is missing, and so is all else; expected the tensors of the cfg");
  return layer->index();
}

// A number of __metadata__; `otherwise` when there is none.
int64_t metadata_number(const SafetensorsHeader& header, std::string_view key, int64_t otherwise, const std::string& file) {
  const auto found = header.metadata.find(key);
  if (found == header.metadata.end()) return otherwise;
  const std::optional<int64_t> value = parse_integer(found->second);
  if (!value || *value < 0) fail(file, ": __metadata__: ", key, " = ", shown(found->second), "; expected a whole number of 0 or more");
  return *value;
}

void check_format(const SafetensorsHeader& header, const std::string& file) {
  const auto found = header.metadata.find(kFormat);
  if (found != header.metadata.end() && found->second != kFormatVersion)
    fail(file, ": __metadata__: ", kFormat, " = ", shown(found->second), "; expected ", kFormatVersion, " (a later program wrote the file?)");
}

void compare_structure(const SafetensorsHeader& header, const Network& network, const std::string& file) {
  const auto found = header.metadata.find(kStructure);
  if (found == header.metadata.end()) return;
  const int64_t written = metadata_number(header, kLayers, INT_MAX, file);
  const std::string here = hex_text(structure_hash(network, static_cast<int>(std::min<int64_t>(written, INT_MAX))), 16);
  if (found->second != here)
    log::warn(concat(file, ": was written for another structure than that of ", network.file(), " (", shown(found->second), ", here ", here,
                     "): every tensor fits, but a stride, an activation, a [route], anchors or the like differ"));
}

std::vector<std::vector<float>> read_values(const InputFile& input, const SafetensorsHeader& header, std::span<const Slot> slots,
                                            const std::string& file) {
  std::vector<std::vector<float>> all;
  for (const Slot& slot : slots) {
    std::vector<float>& values = all.emplace_back(slot.segment->spec.count);
    const size_t bytes = values.size() * sizeof(float);
    if (input.read(header.data + slot.entry->begin, values.data(), bytes) < bytes) fail(file, ": became shorter while it was read");
    check_values(file, *slot.layer, *slot.segment, reinterpret_cast<const std::byte*>(values.data()));
  }
  return all;
}

}  // namespace

WeightsInfo load_tensors(Network& network, const fs::path& path, int cutoff) {
  const std::string file = path.string();
  const InputFile input(path);
  const SafetensorsHeader header = read_safetensors_header(input);
  check_format(header, file);
  std::vector<Slot> slots = slots_of(network, cutoff);
  match(slots, header, network, file, cutoff);
  WeightsInfo info;
  info.layers = static_cast<int>(network.layers().size());
  info.seen = static_cast<uint64_t>(metadata_number(header, kSeen, 0, file));
  // A file that holds everything is a snapshot, whatever the keys say of the file that the run began with.
  if (std::any_of(slots.begin(), slots.end(), [](const Slot& slot) { return !slot.entry; }))
    std::erase_if(slots, [](const Slot& slot) { return left_out(*slot.layer, *slot.segment); });
  info.loaded = layers_held(slots, std::min(info.layers, cutoff), file);
  std::erase_if(slots, [](const Slot& slot) { return !slot.entry; });
  std::vector<int64_t> updates;
  for (const Slot& slot : slots) updates.push_back(metadata_number(header, member(*slot.layer, kUpdates), ParamStore::kWarm, file));
  const std::vector<std::vector<float>> values = read_values(input, header, slots, file);
  if (cutoff >= info.layers) compare_structure(header, network, file);
  // From here on nothing can fail.
  for (size_t i = 0; i < slots.size(); ++i) {
    const ParamSegment& segment = *slots[i].segment;
    std::copy(values[i].begin(), values[i].end(), network.params().values(segment).begin());
    if (segment.spec.role == ParamRole::running_variance) network.params().norm_state(segment.layer).updates = std::min(updates[i], ParamStore::kWarm);
  }
  network.params().touch();
  return info;
}

void save_tensors(const Network& network, const fs::path& path, uint64_t seen, int layers) {
  const std::vector<Slot> slots = slots_of(network, layers);
  const int written = std::min(layers, static_cast<int>(network.layers().size()));
  SafetensorsHeader header;
  header.metadata = {{std::string(kFormat), std::string(kFormatVersion)},
                     {std::string(kProgram), DN_VERSION},
                     {std::string(kSeen), concat(std::min<uint64_t>(seen, INT64_MAX))},
                     {std::string(kLayers), concat(written)},
                     {std::string(kStructure), hex_text(structure_hash(network, written), 16)}};
  for (const Slot& slot : slots) {
    header.add(member(*slot.layer, slot.segment->spec.name), shape_of(slot.segment->spec));
    const int64_t updates = network.params().norm_updates(slot.segment->layer);
    if (slot.segment->spec.role == ParamRole::running_variance && updates < ParamStore::kWarm)
      header.metadata.emplace(member(*slot.layer, kUpdates), concat(updates));
  }
  AtomicFile output(path);
  output.write(safetensors_header_bytes(header));
  for (const Slot& slot : slots) {
    const auto values = network.params().values(*slot.segment);
    output.write(values.data(), values.size_bytes());
  }
  output.commit();
}

}  // namespace dn
