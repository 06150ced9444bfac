// Which engines were chosen, in a JSON file, so that the next run need not choose again and computes the same bits.
//   {"choices": {"KEY": {"engine": 38, "knobs": [[2, 21], [40, 128]], "measured": false}, ...}}
#pragma once

#include <map>
#include <optional>
#include <string>

#include "device/cuda/cudnn_graph.h"

namespace dn::cuda::cudnn {

struct RememberedChoice {
  EngineChoice engine;
  bool measured = false;  // by time on the device; else by the heuristics
  bool operator==(const RememberedChoice&) const = default;
};

class Choices {
 public:
  // Of a file, which need not exist; empty: kept in memory only. A damaged file is ignored with a warning.
  explicit Choices(std::string file);
  std::optional<RememberedChoice> find(const std::string& key) const;
  void set(const std::string& key, const RememberedChoice& choice);
  // Into the file, beside what others have put there meanwhile. A failure is a warning.
  void save();

 private:
  std::string file_;
  std::map<std::string, RememberedChoice> all_;
  bool changed_ = false;
};

}  // namespace dn::cuda::cudnn
