// detector valid: detections of the validation list in the result formats of benchmarks (eval= in the .data file; result_files.h).
#include "base/log.h"
#include "cli/common.h"
#include "cli/result_files.h"
#include "data/dataset.h"
#include "train/snapshots.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

// With a class tree map= names the nodes that a benchmark asks for, in the order of its classes. Empty: no tree or no map.
std::vector<int> reported_nodes(const DataFile& data, const Network& network) {
  if (data.map.empty() || network.heads().empty() || !network.heads().back()->has_class_tree()) return {};
  const int classes = network.heads().back()->classes();
  std::vector<int> nodes = map_numbers(data);
  for (const int node : nodes)
    if (node < 0 || node >= classes)
      fail(resolve_path(data.map, data.file).string(), ": ", node, ": expected a class of the head, 0..", classes - 1);
  return nodes;
}

}  // namespace

int valid(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments);
  const DataFile data = read_data_file(files.data);
  if (data.valid.empty()) fail(data.file, ": valid is missing: expected the path of a list of images");
  const Dataset images(resolve_path(data.valid, data.file));
  Network network = load_model(files.cfg, *files.weights);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  EvaluatorOptions options = benchmark_options(network, device, images.size());
  options.letter_box |= arguments.has("letter_box");
  options.hierarchy = static_cast<float>(arguments.real("hier", 0, 1));
  options.report = reported_nodes(data, network);
  Evaluator evaluator(network, device, options);
  const Names names = class_names(data, network.heads().back()->classes(), options.report);
  DataFile numbered = data;
  if (!options.report.empty()) numbered.map.clear();   // it has said which classes, and does not number them too
  std::vector<std::string> paths;
  for (size_t i = 0; i < images.size(); ++i) paths.push_back(images.image(i));
  const ResultContext context{data.eval, output_folder(data.results, data.file), arguments.text("out"),
                              names,     category_numbers(numbered, names.size()), options.threshold};
  check_results(context, paths);
  const std::unique_ptr<ResultWriter> writer = open_results(context);
  log::Progress progress(data.eval, static_cast<int64_t>(paths.size()), "images");
  size_t failed = 0;
  evaluator.run(paths, [&](ImageDetections&& found) {
    if (!found.error.empty()) {
      ++failed;
      log::warn(found.error);
    } else {
      writer->image(paths[found.index], found);
    }
    progress.update(static_cast<int64_t>(found.index) + 1);
    return true;
  });
  for (const fs::path& path : writer->finish()) log::say(path.string());
  return failed > 0 ? 1 : 0;
}

}  // namespace dn::cli
