#include "train/weights_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/files.h"
#include "base/numbers.h"
#include "train/tensor_weights.h"
#include "train/weights_rules.h"

namespace dn {
namespace {

static_assert(std::endian::native == std::endian::little, "the .weights format is little-endian");

constexpr size_t kShortHeader = 16, kLongHeader = 20;
constexpr std::string_view kSafetensors = ".safetensors";

// What the cfg says a file holds for one layer.
struct LayerRow {
  const Layer* layer = nullptr;
  std::vector<const ParamSegment*> segments;
  size_t floats = 0, first = 0;  // first: index of its first float behind the header
};

// Of the layers before `obstacle`, or of all.
std::vector<LayerRow> layout(const Network& network, bool honour_keys, const Layer* obstacle) {
  std::vector<LayerRow> rows;
  size_t next = 0;
  for (const auto& layer : network.layers()) {
    if (layer.get() == obstacle) break;
    LayerRow row{layer.get(), {}, 0, next};
    for (const ParamSegment* segment : network.params().of_layer(layer->index()))
      if (!honour_keys || !left_out(*layer, *segment)) {
        row.segments.push_back(segment);
        row.floats += segment->spec.count;
      }
    next += row.floats;
    rows.push_back(std::move(row));
  }
  return rows;
}

size_t total(const std::vector<LayerRow>& rows) { return rows.empty() ? 0 : rows.back().first + rows.back().floats; }

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

// Rows with parameters: the first two, those around `failing`, and the last.
std::string table(const std::vector<LayerRow>& rows, size_t failing, size_t header, size_t floats_there) {
  std::vector<const LayerRow*> shown;
  size_t centre = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].floats == 0) continue;
    if (i <= failing) centre = shown.size();
    shown.push_back(&rows[i]);
  }
  std::string text = concat("\n", padded("layer", 8), "  ", "type                ", padded("floats", 12), padded("at byte", 14), "  in the file");
  bool gap = false;
  for (size_t i = 0; i < shown.size(); ++i) {
    if (i >= 2 && i + 1 < shown.size() && (i + 5 < centre || i > centre + 2)) {
      if (!gap) text += "\n     ...";
      gap = true;
      continue;
    }
    gap = false;
    const LayerRow& row = *shown[i];
    std::string type = concat("[", row.layer->type(), "]");
    type.resize(std::max<size_t>(type.size(), 20), ' ');
    const size_t there = floats_there > row.first ? std::min(floats_there - row.first, row.floats) : 0;
    const std::string state = there == row.floats ? "complete" : there == 0 ? "nothing" : concat(there, " of ", row.floats);
    text += concat("\n", padded(concat(row.layer->index()), 8), "  ", type, padded(concat(row.floats), 12),
                   padded(concat(header + row.first * sizeof(float)), 14), "  ", state);
  }
  return text;
}

WeightsInfo read_header(const std::string& name, const std::vector<std::byte>& bytes, size_t& header) {
  const auto integer = [&](size_t at) {
    int32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  if (bytes.size() < 12) fail(name, ": ", bytes.size(), " bytes: expected a .weights header of ", kShortHeader, " or ", kLongHeader, " bytes");
  WeightsInfo info{integer(0), integer(4), integer(8)};
  const auto plausible = [](int v) { return v >= 0 && v <= 1000; };
  if (!plausible(info.major) || !plausible(info.minor) || info.revision < 0 || info.revision > 1'000'000)
    fail(name, ": version ", info.major, ".", info.minor, ".", info.revision, ": not a .weights file (expected 0.1.0 to 0.2.5 or alike)");
  const bool wide = info.major * 10 + info.minor >= 2;
  header = wide ? kLongHeader : kShortHeader;
  if (bytes.size() < header) fail(name, ": ", bytes.size(), " bytes: expected a .weights header of ", header, " bytes");
  if (wide)
    std::memcpy(&info.seen, bytes.data() + 12, sizeof info.seen);
  else
    info.seen = static_cast<uint32_t>(integer(12));
  return info;
}

// Number of layers whose data the file holds; rows.size() when it holds everything. Throws when it ends inside a layer or goes on behind the last.
size_t layers_held(const std::string& name, const std::vector<LayerRow>& rows, size_t header, size_t size) {
  const size_t body = size - header, floats = body / sizeof(float);
  for (size_t i = 0; i < rows.size(); ++i) {
    const LayerRow& row = rows[i];
    if (row.floats == 0 || body >= (row.first + row.floats) * sizeof(float)) continue;
    if (body == row.first * sizeof(float) && row.first > 0) return i;
    fail(name, ": layer ", row.layer->index(), " [", row.layer->type(), "] needs ", row.floats, " floats at byte ",
         header + row.first * sizeof(float), "; the file ends after ", floats - row.first, table(rows, i, header, floats),
         "\nThe cfg and the file do not belong together, or the file is truncated. Nothing was loaded.");
  }
  if (const size_t needed = header + total(rows) * sizeof(float); size != needed)
    fail(name, ": ", size, " bytes: the cfg's ", rows.size(), " layers need ", needed, "; ", size - needed, " bytes are left over",
         table(rows, rows.size() - 1, header, floats),
         "\nThe cfg and the file do not belong together (another class count?). Nothing was loaded. To take over a part of it, cut it with its own "
         "cfg:",
         "\n  darknet partial ITS.cfg ", name, " PART.weights N");
  return rows.size();
}

bool has_load_keys(const Network& network) {
  return std::any_of(network.layers().begin(), network.layers().end(),
                     [](const auto& layer) { return layer->common().dontload || layer->common().dontloadscales; });
}

[[noreturn]] void refuse_beyond(const std::string& name, const Layer& obstacle) {
  fail(name, ": goes on behind the layers before ", obstacle.where(), ": ", obstacle.weights_file_obstacle(),
       ": a .weights file cannot hold it; expected a .safetensors file, or a part that ends there, cut with the file's own cfg:\n  darknet partial "
       "ITS.cfg ",
       name, " PART.weights ", obstacle.index());
}

WeightsInfo load_stream(Network& network, const fs::path& path, int cutoff) {
  const std::string name = path.string();
  const Layer* obstacle = first_obstacle(network);
  std::vector<LayerRow> rows = layout(network, true, obstacle);
  const std::vector<LayerRow> whole = layout(network, false, obstacle);
  const uint64_t size = dn::file_size(path);
  const uint64_t most = kLongHeader + checked_product({total(whole), sizeof(float)});
  if (obstacle && (size > most || total(whole) == 0)) refuse_beyond(name, *obstacle);
  // A file that is longer than anything the cfg can ask for is not read: its header decides only between two lengths.
  std::vector<std::byte> bytes = size <= most ? read_bytes(path, most) : std::vector<std::byte>{};
  if (size > most) layers_held(name, whole, kLongHeader, size);
  size_t header = 0;
  WeightsInfo info = read_header(name, bytes, header);
  if (obstacle && bytes.size() > header + total(whole) * sizeof(float)) refuse_beyond(name, *obstacle);
  if (has_load_keys(network) && bytes.size() == header + total(whole) * sizeof(float)) rows = whole;
  const size_t held = layers_held(name, rows, header, bytes.size());
  const std::byte* body = bytes.data() + header;
  for (size_t i = 0; i < held; ++i) {
    const std::byte* from = body + rows[i].first * sizeof(float);
    for (const ParamSegment* segment : rows[i].segments) {
      check_values(name, *rows[i].layer, *segment, from);
      from += segment->spec.count * sizeof(float);
    }
  }
  for (size_t i = 0; i < held && rows[i].layer->index() < cutoff; ++i) {
    const std::byte* from = body + rows[i].first * sizeof(float);
    for (const ParamSegment* segment : rows[i].segments) {
      std::memcpy(network.params().values(*segment).data(), from, segment->spec.count * sizeof(float));
      from += segment->spec.count * sizeof(float);
      // The file's running statistics go on moving slowly; those of a fresh layer are replaced by the first mini-batch.
      if (segment->spec.role == ParamRole::running_variance) network.params().norm_state(segment->layer).updates = ParamStore::kWarm;
    }
  }
  network.params().touch();
  info.layers = static_cast<int>(network.layers().size());
  info.loaded = std::min(static_cast<int>(held), cutoff);
  return info;
}

void save_stream(const Network& network, const fs::path& path, uint64_t seen, int layers) {
  const Layer* obstacle = first_obstacle(network);
  if (obstacle && obstacle->index() < layers)
    fail(path.string(), ": ", obstacle->where(), ": ", obstacle->weights_file_obstacle(),
         ": a .weights file cannot hold it; expected a file name ending in .safetensors");
  AtomicFile file(path);
  const WeightsInfo info;
  const int32_t version[3] = {info.major, info.minor, info.revision};
  file.write(version, sizeof version);
  file.write(&seen, sizeof seen);
  for (const LayerRow& row : layout(network, false, obstacle)) {
    if (row.layer->index() >= layers) break;
    for (const ParamSegment* segment : row.segments) {
      const auto values = network.params().values(*segment);
      file.write(values.data(), values.size_bytes());
    }
  }
  file.commit();
}

}  // namespace

bool is_safetensors(const fs::path& path) { return lower(path.extension().string()) == kSafetensors; }

std::string_view weights_extension(const Network& network) { return first_obstacle(network) ? kSafetensors : ".weights"; }

WeightsInfo load_weights(Network& network, const fs::path& path, int cutoff) {
  return is_safetensors(path) ? load_tensors(network, path, cutoff) : load_stream(network, path, cutoff);
}

void save_weights(const Network& network, const fs::path& path, uint64_t seen, int layers) {
  check_finite(network, path, layers);
  is_safetensors(path) ? save_tensors(network, path, seen, layers) : save_stream(network, path, seen, layers);
}

}  // namespace dn
