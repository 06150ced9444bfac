// Which weights files a run leaves behind, and when: NAME_last (every savelast iterations), NAME_<iteration> (every saveweights), NAME_best
// (best mAP so far), NAME_final; and NAME_ema, the averages of the weights, whenever one of the others but the best is written (ema_alpha, second half
// of the run). NAME is the cfg's base name without its last extension. They are .weights where that format can express the network, else .safetensors.
#pragma once

#include <cstdint>

#include "config/data_file.h"
#include "graph/network.h"

namespace dn {

std::string run_name(const fs::path& cfg);  // cfg/yolov3.coco-giou-12.cfg -> yolov3.coco-giou-12

// A folder that a .data file names for output: beside the .data file when it is there already, else against the working directory, as in the family.
fs::path output_folder(const std::string& written, const fs::path& near);

// "Due" is decided by the iteration (updates done) and the last one that was saved; a multiple is due, and so is one that was missed.
struct SnapshotRules {
  int64_t numbered = 1000;  // 0: never
  int64_t last = 100;       // 0: never
  static SnapshotRules from(const DataFile& data, int64_t max_batches);
  bool numbered_due(int64_t iteration, int64_t saved) const;
  bool last_due(int64_t iteration, int64_t saved) const;
};

class Snapshots {
 public:
  // Creates the folder, proves that it can be written and that there is room for two snapshots, and takes NAME's lock in it.
  // Throws Error otherwise, and when another run of the same name is writing there.
  Snapshots(const Network& network, fs::path folder, std::string name, SnapshotRules rules, int64_t iteration);
  ~Snapshots();
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;

  const fs::path& folder() const { return folder_; }
  const std::string& name() const { return name_; }
  fs::path file(std::string_view suffix) const { return folder_ / concat(name_, "_", suffix, extension_); }

  // Writes what is due. A disk that refuses is a warning here: the run goes on with the older files. Returns the files written.
  std::vector<fs::path> maybe(int64_t iteration);
  bool try_save(std::string_view suffix, int64_t iteration);  // warning instead of Error
  fs::path save(std::string_view suffix, int64_t iteration);  // Error when it cannot be written

 private:
  const Network& network_;
  fs::path folder_, lock_path_;
  std::string name_, extension_;
  SnapshotRules rules_;
  int64_t saved_numbered_, saved_last_;
  int lock_ = -1;
};

}  // namespace dn
