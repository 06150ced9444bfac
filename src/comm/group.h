// The ranks that train one network together. Every rank calls the same collectives in the same order, also a rank without images.
#pragma once

#include <span>

namespace dn::comm {

class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // all: size() times as long as mine, in the order of the ranks; the same on every rank.
  virtual void all_gather(std::span<const double> mine, std::span<double> all) const = 0;
};

}  // namespace dn::comm
