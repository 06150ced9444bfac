// See check.h. The list is cut into fixed chunks, taken by threads; chunk reports are joined in list order, so the result is the same for any
// number of threads.
#include "data/check.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "data/labels.h"

namespace dn {
namespace {

constexpr size_t kChunk = 256;

void add_problem(DatasetReport& report, std::string text) {
  if (report.problems.size() < kMaxProblems)
    report.problems.push_back(std::move(text));
  else
    ++report.more_problems;
}

void add_labels(DatasetReport& report, const std::string& image, const Labels& labels, int max_truths) {
  if (labels.file.empty()) {
    ++report.without_file;
    if (!report.first_without_file.empty()) return;
    std::vector<std::string> tried;
    for (const fs::path& path : label_paths(image)) tried.push_back(path.string());
    report.first_without_file = concat(image, ": no label file: tried ", join(tried, ", "));
    return;
  }
  report.without_rows += labels.rows == 0 ? 1 : 0;
  report.labelled += labels.boxes.empty() ? 0 : 1;
  report.boxes += static_cast<int64_t>(labels.boxes.size());
  report.bad_rows += labels.bad_rows;
  report.clipped += labels.clipped;
  report.crowded += labels.boxes.size() > static_cast<size_t>(max_truths) ? 1 : 0;
  if (labels.boxes.size() > report.most_boxes) {
    report.most_boxes = labels.boxes.size();
    report.most_boxes_file = labels.file.string();
  }
  for (const TruthBox& truth : labels.boxes) ++report.per_class[static_cast<size_t>(truth.class_id)];
  for (const std::string& problem : labels.problems) add_problem(report, problem);
  report.more_problems += static_cast<size_t>(labels.bad_rows) - labels.problems.size();
}

void check_image(DatasetReport& report, const Dataset& dataset, size_t index, int classes, int max_truths) {
  std::string image = dataset.written(index);
  try {
    image = dataset.image(index);
    file_size(image);
  } catch (const std::exception& error) {  // Error, or what the file system throws for an impossible path
    ++report.missing_images;
    return add_problem(report, error.what());
  }
  try {
    add_labels(report, image, load_labels(image, classes), max_truths);
  } catch (const Error& error) {
    ++report.unreadable_labels;
    add_problem(report, error.what());
  }
}

void join_reports(DatasetReport& all, DatasetReport&& part) {
  all.images += part.images;
  all.missing_images += part.missing_images;
  all.labelled += part.labelled;
  all.without_file += part.without_file;
  all.without_rows += part.without_rows;
  all.unreadable_labels += part.unreadable_labels;
  all.boxes += part.boxes;
  all.bad_rows += part.bad_rows;
  all.clipped += part.clipped;
  all.crowded += part.crowded;
  if (part.most_boxes > all.most_boxes) {
    all.most_boxes = part.most_boxes;
    all.most_boxes_file = std::move(part.most_boxes_file);
  }
  if (all.first_without_file.empty()) all.first_without_file = std::move(part.first_without_file);
  for (size_t i = 0; i < part.per_class.size(); ++i) all.per_class[i] += part.per_class[i];
  for (std::string& problem : part.problems) add_problem(all, std::move(problem));
  all.more_problems += part.more_problems;
}

DatasetReport empty_report(int classes) {
  DatasetReport report;
  report.per_class.assign(static_cast<size_t>(classes), 0);
  return report;
}

void require_usable(const Dataset& dataset, const DatasetReport& report, bool need_labels) {
  const std::string list = dataset.list().string(),
                    first = report.problems.empty() ? std::string() : concat("; the first problem: ", report.problems.front());
  if (report.missing_images == report.images) fail(list, ": 0 usable of ", report.images, " images", first);
  if (!need_labels || report.boxes > 0) return;
  const std::string without = report.first_without_file.empty() ? std::string() : concat("; ", report.first_without_file);
  fail(list, ": no usable label row for ", report.images, " images (", report.without_file, " without a label file, ", report.bad_rows, " bad rows)",
       first, without);
}

}  // namespace

DatasetReport check_dataset(const Dataset& dataset, int classes, int max_truths, int threads, bool need_labels) {
  ensure(classes > 0 && max_truths >= 0, "a data set has classes");
  const size_t images = dataset.size(), chunks = (images + kChunk - 1) / kChunk;
  std::vector<DatasetReport> parts(chunks);
  std::vector<std::exception_ptr> errors(chunks);
  std::atomic<size_t> next = 0, done = 0;
  const auto scan = [&](log::Progress* progress) {
    for (size_t chunk = next++; chunk < chunks; chunk = next++) {
      try {
        parts[chunk] = empty_report(classes);
        for (size_t i = chunk * kChunk; i < std::min(images, (chunk + 1) * kChunk); ++i, ++done) {
          ++parts[chunk].images;
          check_image(parts[chunk], dataset, i, classes, max_truths);
        }
      } catch (...) {
        errors[chunk] = std::current_exception();
      }
      if (progress) progress->update(static_cast<int64_t>(done.load()));
    }
  };
  {
    log::Progress progress(concat("checking ", dataset.list().string()), static_cast<int64_t>(images), "images");
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads && static_cast<size_t>(i) < chunks; ++i) helpers.emplace_back(scan, nullptr);
    scan(&progress);
  }
  DatasetReport report = empty_report(classes);
  for (size_t i = 0; i < chunks; ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    join_reports(report, std::move(parts[i]));
  }
  report.duplicates = dataset.duplicates();
  require_usable(dataset, report, need_labels);
  return report;
}

std::vector<std::string> summary(const DatasetReport& report) {
  std::vector<std::string> lines{concat(report.images, " images: ", report.labelled, " with objects, ", report.without_rows + report.without_file,
                                        " without (", report.without_file, " have no label file); ", report.boxes, " boxes")};
  const auto note = [&](auto count, const auto&... text) {
    if (count > 0) lines.push_back(concat(count, text...));
  };
  note(report.missing_images, " images are missing");
  note(report.duplicates, " lines of the list repeat an earlier one");
  note(report.unreadable_labels, " label files cannot be read");
  note(report.bad_rows, " label rows are wrong and skipped");
  note(report.clipped, " boxes reach beyond their image and are cut at its edge");
  note(report.crowded, " images hold more boxes than training takes (max); the most: ", report.most_boxes, " in ", report.most_boxes_file);
  if (report.without_file > 0) lines.push_back(report.first_without_file);
  return lines;
}

}  // namespace dn
