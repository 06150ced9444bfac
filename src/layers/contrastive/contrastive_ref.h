// [contrastive] by its formula: the loss of each sample, samples in their order. What every kernel must compute. See contrastive.h.
#pragma once

#include <cmath>
#include <vector>

#include "layers/contrastive/contrastive.h"

namespace dn {

template <class T>
struct ContrastiveSample {
  std::vector<T> embedding;
  uint64_t object = 0;
  int class_id = 0;
};

template <class T>
std::vector<T> contrastive_reference(const ContrastiveSpec& spec, const std::vector<ContrastiveSample<T>>& samples) {
  const auto similarity = [&](size_t i, size_t j) {
    T dot = 0, a = 0, b = 0;
    for (size_t k = 0; k < samples[i].embedding.size(); ++k) {
      const T p = samples[i].embedding[k], q = samples[j].embedding[k];
      dot += p * q, a += p * p, b += q * q;
    }
    return dot / std::sqrt(a * b);
  };
  std::vector<T> losses(samples.size(), 0);
  for (size_t i = 0; i < samples.size(); ++i) {
    std::vector<T> same, other;
    for (size_t step = 1; step < samples.size(); ++step) {
      const size_t j = (i + step) % samples.size();
      if (samples[j].object == samples[i].object)
        same.push_back(similarity(i, j) / spec.temperature);
      else if (samples[j].class_id == samples[i].class_id && other.size() < static_cast<size_t>(spec.contrastive_neg_max))
        other.push_back(similarity(i, j) / spec.temperature);
    }
    if (same.empty() || other.empty()) continue;
    T sum = 0;
    for (const T s : same) sum += std::exp(s);
    for (const T s : other) sum += std::exp(s);
    for (const T s : same) losses[i] -= std::log(std::exp(s) / sum) / static_cast<T>(same.size());
    losses[i] *= spec.cls_normalizer;
  }
  return losses;
}

}  // namespace dn
