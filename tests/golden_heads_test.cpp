// Detection heads against what the reference program computed (golden/head_train, golden/head_boxes), where that folder is at hand: the losses on its
// head outputs, then whole networks from the input on. Tolerances: 1e-4 of the largest delta, 2e-5 of a box.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/plan.h"
#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "layers/gaussian_yolo/gaussian_yolo_loss.h"
#include "layers/region/region.h"
#include "layers/region/region_loss.h"
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"
#include "nn/activation.h"
#include "nn/head_kernel.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/gpu.h"
#include "tests/harness/head_step.h"
#include "tests/harness/tensors.h"
#include "tests/npy.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::Npy;
using testing::read_npy;

// Empty when the golden folder is absent.
fs::path case_folder(std::string_view group, const std::string& name) {
  const std::string root = testing::golden_folder();
  return root.empty() ? fs::path() : fs::path(root) / group / name;
}

std::vector<std::vector<TruthBox>> read_truths(const fs::path& path) {
  const Npy rows = read_npy(path);   // [N,20,6]: x y w h class track_id; x = 0 ends an image's list
  std::vector<std::vector<TruthBox>> truths(static_cast<size_t>(rows.dim(0)));
  const size_t slots = static_cast<size_t>(rows.dim(1));
  for (size_t n = 0; n < truths.size(); ++n)
    for (size_t i = 0; i < slots; ++i) {
      const float* row = rows.data.data() + (n * slots + i) * 6;
      if (row[0] == 0) break;
      truths[n].push_back({{row[0], row[1], row[2], row[3]}, static_cast<int>(row[4])});
    }
  return truths;
}

double read_cost(const fs::path& path) {
  const std::string text = read_text(path);
  const size_t from = text.find(':') + 1;
  return parse_real(trim(std::string_view(text).substr(from, text.find('}') - from))).value();
}

const Layer& head_of(const Network& network) {
  if (!network.layers().back()->head()) fail("the last layer is no head");
  return *network.layers().back();
}

// The recorded output of a [region] is [N][cell][anchor][entry] with x and y before their sigmoid; ours is [N,C,H,W] with it.
Npy recorded_output(const Layer& head, const fs::path& path) {
  Npy npy = read_npy(path);
  const auto* region = dynamic_cast<const Region*>(&head);
  if (!region) return npy;
  const size_t entries = static_cast<size_t>(region->rules().entries()), anchors = region->rules().anchors.size();
  const size_t plane = static_cast<size_t>(npy.dim(2) * npy.dim(3)), images = static_cast<size_t>(npy.dim(0));
  const std::vector<float> from = npy.data;
  for (size_t n = 0; n < images; ++n)
    for (size_t cell = 0; cell < plane; ++cell)
      for (size_t i = 0; i < anchors * entries; ++i) {
        const float v = from[(n * plane + cell) * anchors * entries + i];
        npy.data[(n * anchors * entries + i) * plane + cell] = i % entries < 2 ? activate(Activation::logistic, v) : v;
      }
  return npy;
}

// The loss of a mini-batch on a recorded output.
LossReport loss_of(const Layer& head, const Shape& net, const Npy& output, const std::vector<std::vector<TruthBox>>& truths, float* delta) {
  const AnchorGrid grid{output.dim(3), output.dim(2), net.w, net.h};
  const size_t per_image = output.data.size() / truths.size();
  std::vector<AnchorImageLoss> images;
  std::vector<LossReport> sums;
  for (size_t n = 0; n < truths.size(); ++n) {
    const float* const image = output.data.data() + n * per_image;
    if (const auto* yolo = dynamic_cast<const Yolo*>(&head))
      images.push_back(yolo_image_loss(yolo->rules(), grid, image, truths[n], delta + n * per_image));
    else if (const auto* gaussian = dynamic_cast<const GaussianYolo*>(&head))
      images.push_back(gaussian_yolo_image_loss(gaussian->rules(), grid, image, truths[n], delta + n * per_image));
    else
      sums.push_back(region_image_loss(dynamic_cast<const Region&>(head).rules(), region_grid(grid.w, grid.h), image, truths[n], 0,
                                       delta + n * per_image));
  }
  return images.empty() ? mini_batch_report(sums) : anchor_report(dynamic_cast<const AnchorHead&>(head).rules(), images);
}

void expect_close(const float* got, const std::vector<float>& expected, double relative, const char* what) {
  double largest = 0;
  for (const float v : expected) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  int shown = 0;
  for (size_t i = 0; i < expected.size() && shown < 5; ++i)
    if (!(std::fabs(static_cast<double>(got[i]) - expected[i]) <= relative * largest)) {
      ADD_FAILURE() << what << " [" << i << "]: " << got[i] << ", expected " << expected[i] << " (largest " << largest << ")";
      ++shown;
    }
}

std::vector<float> negative(std::vector<float> values) {
  for (float& v : values) v = -v;
  return values;
}

class GoldenHeadLoss : public ::testing::TestWithParam<const char*> {};
class GoldenHeadBoxes : public ::testing::TestWithParam<const char*> {};

std::string name_of(const ::testing::TestParamInfo<const char*>& info) { return info.param; }

struct Row {
  int class_id;
  double prob, x, y, w, h;
};

std::vector<Row> read_rows(const fs::path& path) {
  std::vector<Row> rows;
  for (const std::string& line : read_lines(path)) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<double> v;
    for (const std::string_view field : split(line, ' ')) v.push_back(parse_real(field).value());
    rows.push_back({static_cast<int>(v.at(0)), v.at(1), v.at(2), v.at(3), v.at(4), v.at(5)});
  }
  return rows;
}

bool same(const Row& a, const Row& b) {
  const auto near = [](double p, double q) { return std::fabs(p - q) <= 2e-5 * std::max(1.0, std::fabs(q)); };
  return a.class_id == b.class_id && near(a.prob, b.prob) && near(a.x, b.x) && near(a.y, b.y) && near(a.w, b.w) && near(a.h, b.h);
}

void expect_rows(const std::vector<Detection>& detections, std::vector<Row> expected, const char* what) {
  size_t found = 0;
  for (const Detection& d : detections)
    for (size_t c = 0; c < d.prob.size(); ++c) {
      if (d.prob[c] <= 0) continue;
      ++found;
      const Row row{static_cast<int>(c), d.prob[c], d.box.x, d.box.y, d.box.w, d.box.h};
      const auto match = std::find_if(expected.begin(), expected.end(), [&](const Row& e) { return same(row, e); });
      if (match == expected.end())
        ADD_FAILURE() << what << ": class " << c << " prob " << d.prob[c] << " at " << d.box.x << " " << d.box.y << " is not expected";
      else
        expected.erase(match);
    }
  EXPECT_TRUE(expected.empty()) << what << ": " << expected.size() << " boxes are missing";
  EXPECT_GT(found, 0u);
}

}  // namespace

TEST_P(GoldenHeadLoss, on_the_reference_output) {
  const fs::path folder = case_folder("head_train", GetParam());
  if (folder.empty()) GTEST_SKIP() << "golden files are not here";
  const Network network = Network::from_cfg(folder / "net.cfg");
  const Npy output = recorded_output(head_of(network), folder / "head_output.npy"), expected = read_npy(folder / "head_delta.npy");
  std::vector<float> delta(output.data.size(), NAN);
  const LossReport loss = loss_of(head_of(network), network.input(1), output, read_truths(folder / "truth.npy"), delta.data());
  expect_close(delta.data(), expected.data, 2e-6, "delta");
  const double cost = read_cost(folder / "loss.json");
  EXPECT_NEAR(loss.cost, cost, 1e-6 * cost);
}

namespace {

// The network's training step on a device, and the head's alone. (The head's gradient: in the plan the layer before may have overwritten it by now.)
void check_network(const fs::path& folder, Device& device, testing::HeadStep (*head_step)(const Layer&, const testing::HeadCase&)) {
  Network network = Network::from_cfg(folder / "net.cfg");
  load_weights(network, folder / "net.weights");
  const Npy input = read_npy(folder / "input.npy"), expected = read_npy(folder / "head_delta.npy");
  const Npy output = recorded_output(head_of(network), folder / "head_output.npy");
  const auto truths = read_truths(folder / "truth.npy");
  const int head = static_cast<int>(network.layers().size()) - 1;
  const Shape shape = network.input(input.dim(0));
  Plan plan(network, device, shape, {.training = true, .keep_outputs = true});
  plan.set_input(input.data.data());
  Pass pass;
  pass.training = true;
  pass.truth = truths;
  plan.forward(pass);
  expect_close(plan.output(head).data, output.data, 2e-5, "output");
  const Tensor above = plan.output(head - 1);
  const testing::HeadCase alone{.shape = above.desc.shape, .network = shape, .x = testing::unpack<float>(above), .truths = truths};
  expect_close(negative(head_step(head_of(network), alone).dx).data(), expected.data, 1e-4, "delta");
  const double cost = read_cost(folder / "loss.json");
  EXPECT_NEAR(plan.loss(head).cost, cost, 1e-5 * cost);
}

}  // namespace

TEST_P(GoldenHeadLoss, of_the_whole_network) {
  const fs::path folder = case_folder("head_train", GetParam());
  if (folder.empty()) GTEST_SKIP() << "golden files are not here";
  for (const int threads : {1, 2}) {
    cpu::Device device({.threads = threads});
    check_network(folder, device, [](const Layer& layer, const testing::HeadCase& c) { return testing::head_step_on_host(layer, c); });
  }
}

TEST_P(GoldenHeadLoss, of_the_whole_network_on_a_gpu) {
  const fs::path folder = case_folder("head_train", GetParam());
  if (folder.empty()) GTEST_SKIP() << "golden files are not here";
  cuda::Device device(testing::gpu_options(cuda::Precision::fp32));
  check_network(folder, device, testing::head_step_on_gpu);
}

TEST_P(GoldenHeadBoxes, of_the_whole_network) {
  const fs::path folder = case_folder("head_boxes", GetParam());
  if (folder.empty()) GTEST_SKIP() << "golden files are not here";
  Network network = Network::from_cfg(folder / "net.cfg");
  load_weights(network, folder / "net.weights");
  const Npy input = read_npy(folder / "input.npy");
  cpu::Device device({.threads = 1});
  Plan plan(network, device, network.input(1), {});
  plan.set_input(input.data.data());
  plan.forward({});
  const Layer& layer = head_of(network);
  const Head& head = *layer.head();
  std::vector<Detection> detections;
  head.decode(plan.output(layer.index()), 0, network.input(1), {.threshold = .1f}, detections);
  expect_rows(detections, read_rows(folder / "boxes_nms0.txt"), "decoded");
  suppress(detections, head.classes(), .45f, head.nms_kind(), head.beta_nms());
  expect_rows(detections, read_rows(folder / "boxes_nms0.45.txt"), "suppressed");
}

INSTANTIATE_TEST_SUITE_P(golden, GoldenHeadLoss,
                         ::testing::Values("yolo_ciou", "yolo_counters", "yolo_csp_head", "yolo_diou", "yolo_focal", "yolo_giou", "yolo_iou",
                                           "yolo_label_smooth", "yolo_mse", "yolo_mse_new_coords", "yolo_smooth_obj", "yolo_truth_thresh",
                                           "yolo_v4_head", "region_v2", "gaussian_yolo"),
                         name_of);
INSTANTIATE_TEST_SUITE_P(golden, GoldenHeadBoxes,
                         ::testing::Values("yolo_default", "yolo_diounms", "yolo_greedynms", "yolo_new_coords", "yolo_scale_x_y", "region_v2",
                                           "gaussian_yolo"),
                         name_of);

}  // namespace dn
