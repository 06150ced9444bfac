// [contrastive]: teaches embeddings to tell objects apart (compatibility notes 4.19). Input: what describes the objects of the [yolo] head `yolo_layer`,
// so many channels for each of its anchors, on its grid. The cells of that head which truths are assigned to are the samples; with contrastive=1 in
// [net] every object comes in the mini-batch twice, in two augmentations of its image. The loss is that of supervised contrastive learning (Khosla
// et al. 2020, their L_out) over all samples i of the mini-batch:
//
//   L = cls_normalizer  sum_i  1/|P(i)|  sum_{p in P(i)}  -log( exp(s_ip / temperature) / sum_{a in P(i) or N(i)} exp(s_ia / temperature) )
//
// s cosine similarity, P(i) the other samples of the same object, N(i) samples of other objects of the same class: the contrastive_neg_max that follow i
// (around the end), in the order of images and labels. A sample without P or N adds nothing; neither does a truth whose object is not known
// (TruthBox::track_id). A cell that several truths share stands for the last.
//
// Output: N x 1 x 1 x 1, the loss of each image's samples; 0 at inference. The gradient is exact; each entry of it is then bounded to +-max_delta.
//
//   [contrastive]
//   yolo_layer=-2
#pragma once

#include <limits>

#include "nn/detection.h"
#include "nn/layer.h"

namespace dn {

struct ContrastiveSpec {
  int classes = 1000, yolo_layer = 0;
  float temperature = 1, cls_normalizer = 1, max_delta = std::numeric_limits<float>::max();
  int contrastive_neg_max = 3;
};

class Contrastive : public Layer {
 public:
  static std::unique_ptr<Contrastive> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Contrastive& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override { return {in[0].n, 1, 1, 1}; }
  std::string summary(std::span<const Shape> in) const override;
  bool writes_plain() const override { return true; }
  bool has_loss() const override { return true; }
  void relate(std::span<const std::unique_ptr<Layer>> all, Problems& problems) override;
  void check_relations(std::span<const Shape> outputs) const override;

  const ContrastiveSpec& spec() const { return spec_; }
  const Head& objects() const { return *head_; }  // the head it learns from

 private:
  Contrastive(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  ContrastiveSpec spec_;
  int yolo_layer_ = -1;
  const Head* head_ = nullptr;
};

}  // namespace dn
