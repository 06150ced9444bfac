// The pictures and labels are many and worthless alone, so they are written plainly and synced once at the end; what makes the set valid is
// synth.json, which first says "complete": false and is replaced when everything is on the disk.
#include "data/synth.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "data/bulk_files.h"
#include "data/synth/scene.h"
#include "data/synth/shapes.h"
#include "image/draw.h"

namespace dn {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;  // of the scenes: raised when the same seed gives other pictures
constexpr int kPreview = 12;

struct Set {
  fs::path root;
  SynthOptions options;
  int train = 0;  // images 0..train-1
  std::string part(int image) const { return image < train ? "train" : "valid"; }
  std::string number(int image) const {
    const std::string digits = concat(image);
    return std::string(6 - std::min<size_t>(6, digits.size()), '0') + digits;
  }
  std::string image(int i) const { return concat("images/", part(i), "/", number(i), ".jpg"); }
  std::string label(int i) const { return concat("labels/", part(i), "/", number(i), ".txt"); }
};

void check(const SynthOptions& o) {
  if (o.images < 10 || o.images > 100000) fail("synth: images = ", o.images, ": expected 10..100000");
  if (o.width < 64 || o.width > 2048) fail("synth: width = ", o.width, ": expected 64..2048");
  if (o.height < 64 || o.height > 2048) fail("synth: height = ", o.height, ": expected 64..2048");
  if (!(o.valid_share >= 0.01 && o.valid_share <= 0.9)) fail("synth: share of validation images = ", o.valid_share, ": expected 0.01..0.9");
  if (o.threads < 1 || o.threads > 1024) fail("synth: threads = ", o.threads, ": expected 1..1024");
}

json parameters(const SynthOptions& o) {
  return {{"version", kVersion}, {"images", o.images}, {"seed", o.seed}, {"width", o.width}, {"height", o.height}, {"valid_share", o.valid_share}};
}

bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code) && fs::file_size(path, code) > 0;
}

bool present(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code);
}

// True: `root` holds this very set, whole. Throws when it holds another one or somebody's own files.
bool already_there(const Set& set) {
  const fs::path record = set.root / "synth.json";
  if (!present(record)) {
    for (const char* name : {"images", "labels", "train.txt", "valid.txt", "synth.data", "synth.names"})
      if (present(set.root / name))
        fail(set.root.string(), ": holds ", name, ", which is not of a synthetic data set: expected a new or empty folder");
    return false;
  }
  const json held = parse_json_or_discarded(read_text(record, 1 << 20));
  if (!held.is_object()) fail(record.string(), ": is no JSON object: expected what an earlier run wrote here; remove it or choose another folder");
  const json wanted = parameters(set.options);
  for (const auto& [key, value] : wanted.items())
    if (!held.contains(key) || held[key] != value)
      fail(set.root.string(), ": holds a synthetic data set with ", key, " = ", held.contains(key) ? held[key].dump() : "none", ", not ",
           value.dump(), ": remove it or choose another folder");
  if (!held.contains("complete") || held["complete"] != true) return false;
  for (const char* name : {"train.txt", "valid.txt", "synth.data", "synth.names"})
    if (!is_file(set.root / name)) return false;
  for (int i = 0; i < set.options.images; ++i)
    if (!is_file(set.root / set.image(i)) || !is_file(set.root / set.label(i))) return false;
  return true;
}

std::string label_text(const std::vector<TruthBox>& truth) {
  std::string text;
  for (const TruthBox& t : truth)
    text += concat(t.class_id, " ", fixed(t.box.x, 6), " ", fixed(t.box.y, 6), " ", fixed(t.box.w, 6), " ", fixed(t.box.h, 6), "\n");
  return text;
}

// Renders images in any order on several threads; the calling thread works along and shows the progress.
class Factory {
 public:
  explicit Factory(const Set& set) : set_(set), preview_(static_cast<size_t>(std::min(kPreview, set.options.images))) {}

  void run() {
    log::Progress progress("synthetic images", set_.options.images, "images");
    {
      std::vector<std::jthread> helpers;
      for (int t = 1; t < std::min(set_.options.threads, set_.options.images); ++t) helpers.emplace_back([this] { work(nullptr); });
      work(&progress);
    }
    if (error_) std::rethrow_exception(error_);
  }

  std::array<int64_t, synth::kNames.size()> objects() const {
    std::array<int64_t, synth::kNames.size()> out{};
    for (size_t i = 0; i < out.size(); ++i) out[i] = objects_[i];
    return out;
  }
  const std::vector<Image>& preview() const { return preview_; }

 private:
  void work(log::Progress* progress) {
    try {
      for (int i = next_++; i < set_.options.images && !stop_; i = next_++) {
        make(i);
        const int done = ++done_;
        if (progress) progress->update(done);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
  }

  void make(int i) {
    synth::Scene scene = synth::render_scene(set_.options.seed, static_cast<uint64_t>(i), set_.options.width, set_.options.height);
    const fs::path path = set_.root / set_.image(i);
    write_plainly(path, encode_jpeg(scene.image, scene.quality, path.string()));
    write_plainly(set_.root / set_.label(i), label_text(scene.truth));
    for (const TruthBox& t : scene.truth) ++objects_[static_cast<size_t>(t.class_id)];
    if (static_cast<size_t>(i) >= preview_.size()) return;
    std::vector<DrawItem> items;
    for (const TruthBox& t : scene.truth) items.push_back({t.box, std::string(synth::kNames[static_cast<size_t>(t.class_id)]), -1, t.class_id});
    draw_detections(scene.image, items);
    preview_[static_cast<size_t>(i)] = std::move(scene.image);
  }

  const Set& set_;
  std::vector<Image> preview_;
  std::array<std::atomic<int64_t>, synth::kNames.size()> objects_{};
  std::atomic<int> next_ = 0, done_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::exception_ptr error_;
};

void write_descriptions(const Set& set) {
  std::string train, valid, names;
  for (int i = 0; i < set.options.images; ++i) (i < set.train ? train : valid) += set.image(i) + "\n";
  for (std::string_view name : synth::kNames) names += concat(name, "\n");
  write_file(set.root / "train.txt", train);
  write_file(set.root / "valid.txt", valid);
  write_file(set.root / "synth.names", names);
  write_file(set.root / "synth.data",
             concat("classes = ", synth::kNames.size(), "\ntrain = train.txt\nvalid = valid.txt\nnames = synth.names\nbackup = backup\n"));
}

}  // namespace

void make_synthetic_dataset(const fs::path& out, const SynthOptions& options) {
  check(options);
  Set set{out, options, 0};
  set.train = options.images - std::clamp(static_cast<int>(std::lround(options.images * options.valid_share)), 1, options.images - 1);
  if (already_there(set))
    return log::say(concat(out.string(), ": already holds this data set (", options.images, " images, seed ", options.seed, "); kept"));

  const auto start = std::chrono::steady_clock::now();
  for (const char* folder : {"images/train", "images/valid", "labels/train", "labels/valid", "backup"}) make_directories(out / folder);
  json record = parameters(options);
  record["complete"] = false;
  write_file(out / "synth.json", json_text(record, 2) + "\n");

  Factory factory(set);
  factory.run();
  write_descriptions(set);
  save_image(out / "preview.jpg", make_contact_sheet(factory.preview(), 4), 90);
  sync_all(out);
  int64_t total = 0;
  for (size_t i = 0; i < synth::kNames.size(); ++i) {
    record["objects"][std::string(synth::kNames[i])] = factory.objects()[i];
    total += factory.objects()[i];
  }
  record["complete"] = true;
  write_file(out / "synth.json", json_text(record, 2) + "\n");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  log::say(concat(out.string(), ": ", set.train, " training and ", options.images - set.train, " validation images with ", total, " objects of ",
                  synth::kNames.size(), " classes, ", fixed(seconds, 1), " s; ", (out / "synth.data").string()));
}

}  // namespace dn
