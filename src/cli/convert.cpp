// convert voc|coco|kitti|bdd: annotations of another form into a data set that `detector train` takes.
#include "base/log.h"
#include "cli/common.h"
#include "data/convert/yolo_writer.h"

namespace dn::cli {
namespace {

fs::path source_of(const Arguments& arguments) {
  const fs::path dir = arguments.positional[0];
  std::error_code code;
  if (!fs::is_directory(dir, code)) fail(dir.string(), ": ", code ? code.message() : "not a folder", ": expected the folder of the data set");
  return dir;
}

double valid_share(const Arguments& arguments) { return arguments.real("valid_share", .01, .5); }

int write(const Arguments& arguments, AnnotatedSet set) {
  const std::string names = arguments.text("names");
  if (names.empty())
    order_classes(set, set.format == "coco" ? set.names : std::vector<std::string>(usual_order(set.format).begin(), usual_order(set.format).end()),
                  false);
  else
    order_classes(set, read_names(names), true);
  YoloWriterOptions options;
  options.source = arguments.positional[0];
  options.out = arguments.text("out");
  options.copy = arguments.has("copy");
  options.keep_difficult = arguments.has("keep_difficult");
  if (options.copy && options.out.empty()) fail("-copy: only together with -out DIR");
  const YoloWriterReport report = write_yolo(set, options);
  for (const PartCounts* part : {&report.train, &report.valid})
    for (const std::string& remark : part->remarks) log::warn(remark);
  for (const std::string& line : summary(report)) log::say(line);
  log::say(concat(set.names.size(), " classes; train on them with: darknet detector train ", report.data_file.string(), " CFG"));
  return 0;
}

}  // namespace

int convert_voc(const Arguments& arguments) { return write(arguments, read_voc(source_of(arguments), valid_share(arguments))); }

int convert_coco(const Arguments& arguments) {
  return write(arguments, read_coco(source_of(arguments), arguments.text("train"), arguments.text("valid"), valid_share(arguments)));
}

int convert_kitti(const Arguments& arguments) { return write(arguments, read_kitti(source_of(arguments), valid_share(arguments))); }

int convert_bdd(const Arguments& arguments) { return write(arguments, read_bdd(source_of(arguments), valid_share(arguments))); }

}  // namespace dn::cli
