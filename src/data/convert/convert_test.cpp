// Readers of other data sets' annotations and the writer of labels, on made-up sets of a few images.
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/convert/coco_file.h"
#include "data/convert/yolo_writer.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::TestFolder;

void put(const fs::path& path, std::string_view text) {
  make_directories(path.parent_path());
  test::write_quickly(path, text);
}

void put_image(const fs::path& path, int width = 100, int height = 50) {
  make_directories(path.parent_path());
  save_image(path, test::plain_image(width, height, {90, 120, 150}));
}

std::string voc_object(std::string_view name, std::string_view box, bool difficult = false) {
  const auto edges = split(box, ' ');
  return concat("<object><name>", name, "</name><difficult>", difficult ? 1 : 0,
                "</difficult><part><bndbox><xmin>1</xmin></bndbox></part><bndbox><xmin>", edges[0], "</xmin><ymin>", edges[1], "</ymin><xmax>",
                edges[2], "</xmax><ymax>", edges[3], "</ymax></bndbox></object>\n");
}

std::string voc_file(std::string_view filename, std::string_view objects) {
  return concat("<annotation>\n<filename>", filename, "</filename><size><width>100</width><height>50</height><depth>3</depth></size>\n", objects,
                "</annotation>\n");
}

// Two years: the first with annotated test images, the second without a test list.
void make_voc(const fs::path& dir) {
  const fs::path one = dir / "VOCdevkit/VOC2007", two = dir / "VOCdevkit/VOC2012";
  put(one / "Annotations/000001.xml", voc_file("000001.jpg", voc_object("dog", "11 6 60 30") + voc_object("person", "1 1 100 50", true)));
  put(one / "Annotations/000002.xml", voc_file("000002.jpg", ""));
  put(one / "Annotations/000003.xml", voc_file("000003.jpg", voc_object("person", "51 26 100 50") + voc_object("dog", "1 1 20 10", true)));
  put(two / "Annotations/2012_000001.xml", voc_file("2012_000001.jpg", voc_object("cat", "-9 1 10 60")));
  put(one / "ImageSets/Main/trainval.txt", "000001\n000002 \n");
  put(one / "ImageSets/Main/train.txt", "000001\n");
  put(one / "ImageSets/Main/val.txt", "000002\n");
  put(one / "ImageSets/Main/test.txt", "000003\n");
  put(two / "ImageSets/Main/train.txt", "2012_000001\n");
  for (const char* name : {"000001", "000002", "000003"}) put_image(one / "JPEGImages" / concat(name, ".jpg"));
  put_image(two / "JPEGImages/2012_000001.jpg");
}

YoloWriterReport convert(AnnotatedSet set, const fs::path& source, const fs::path& out = {}, bool keep_difficult = false) {
  order_classes(set, usual_order(set.format), false);
  return write_yolo(set, {source, out, false, keep_difficult});
}

template <class Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

TEST(convert, voc_into_another_folder) {
  const TestFolder folder("convert_voc");
  make_voc(folder / "devkit");
  const fs::path out = folder / "out";
  const YoloWriterReport report = convert(read_voc(folder / "devkit", .1), folder / "devkit", out);
  EXPECT_EQ(report.train.images, 3);
  EXPECT_EQ(report.train.objects, 2);
  EXPECT_EQ(report.train.difficult, 1);
  EXPECT_EQ(report.train.cut, 1);
  EXPECT_EQ(report.valid.images, 1);
  EXPECT_EQ(read_text(out / "train.txt"), "train/000001.jpg\ntrain/000002.jpg\ntrain/2012_000001.jpg\n");
  EXPECT_EQ(read_text(out / "valid.txt"), "valid/000003.jpg\n");
  EXPECT_EQ(read_text(out / "train/000001.txt"), "11 0.35000000 0.35000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(out / "train/000002.txt"), "");
  EXPECT_EQ(read_text(out / "train/2012_000001.txt"), "7 0.05000000 0.50000000 0.10000000 1.00000000\n");
  EXPECT_EQ(read_text(out / "valid/000003.txt"), "14 0.75000000 0.75000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(out / "difficult.txt"), "difficult/000003.jpg\n");
  EXPECT_EQ(read_text(out / "difficult/000003.txt"), "11 0.10000000 0.10000000 0.20000000 0.20000000\n");
  EXPECT_EQ(read_lines(out / "voc.names").size(), 20u);
  EXPECT_EQ(read_text(out / "voc.data"),
            "classes = 20\ntrain = train.txt\nvalid = valid.txt\ndifficult = difficult.txt\nnames = voc.names\nbackup = backup\nresults = results\n"
            "eval = voc\n");
  EXPECT_TRUE(fs::is_symlink(out / "train/000001.jpg"));
  EXPECT_EQ(load_image(out / "train/000001.jpg").width, 100);
  // Once more over the same; and with the difficult objects as objects.
  EXPECT_EQ(convert(read_voc(folder / "devkit", .1), folder / "devkit", out, true).train.objects, 3);
  EXPECT_EQ(read_lines(out / "train/000001.txt").size(), 2u);
}

TEST(convert, voc_in_place_and_nobodys_labels_are_overwritten) {
  const TestFolder folder("convert_place");
  make_voc(folder.path);
  const fs::path year = folder / "VOCdevkit/VOC2007";
  convert(read_voc(year, .1), year);
  EXPECT_EQ(read_text(year / "train.txt"), "JPEGImages/000001.jpg\nJPEGImages/000002.jpg\n");
  EXPECT_EQ(read_text(year / "labels/000001.txt"), "11 0.35000000 0.35000000 0.50000000 0.50000000\n");
  convert(read_voc(year, .1), year);  // its own may be
  fs::remove(year / "voc.names");
  EXPECT_NE(error_of([&] { convert(read_voc(year, .1), year); }).find("labels/000001.txt: exists and was not written by a conversion"),
            std::string::npos);
  put(folder / "other/file", "x");
  EXPECT_NE(error_of([&] { convert(read_voc(year, .1), year, folder / "other"); }).find("other: is neither empty"), std::string::npos);
}

TEST(convert, xml_beside_its_images_with_classes_of_its_own) {
  const TestFolder folder("convert_flat");
  for (int i = 0; i < 7; ++i) {
    put(folder / concat("set/i", i, ".xml"), voc_file(concat("i", i, ".png"), voc_object(i % 2 ? "wheel" : "axle", "1 1 50 25")));
    put_image(folder / concat("set/i", i, ".png"));
  }
  fs::remove(folder / "set/i3.png");
  put(folder / "set/i5.png", "no image");
  const YoloWriterReport report = convert(read_voc(folder / "set", .25), folder / "set", folder / "out");
  EXPECT_EQ(read_text(folder / "out/voc.names"), "axle\nwheel\n");
  EXPECT_EQ(read_text(folder / "out/train.txt"), "train/i0.png\ntrain/i1.png\ntrain/i2.png\ntrain/i4.png\ntrain/i6.png\n");
  EXPECT_EQ(report.train.unusable_images, 1);
  EXPECT_EQ(report.valid.unusable_images, 1);
  ASSERT_EQ(report.train.remarks.size(), 1u);
  EXPECT_NE(report.train.remarks[0].find("i5.png"), std::string::npos) << report.train.remarks[0];
  EXPECT_FALSE(fs::exists(folder / "out/valid.txt"));
  AnnotatedSet chosen = read_voc(folder / "set", .25);
  const std::vector<std::string> names{"hub", "wheel"};
  order_classes(chosen, names, true);
  EXPECT_EQ(write_yolo(chosen, {folder / "set", folder / "out2", true, false}).train.objects, 1);  // of i1; i3 and i5 are no images
  EXPECT_EQ(read_text(folder / "out2/train/i1.txt").substr(0, 2), "1 ");
  EXPECT_FALSE(fs::is_symlink(folder / "out2/train/i1.png"));
}

TEST(convert, malformed_xml_is_named_with_its_place) {
  const TestFolder folder("convert_xml");
  put_image(folder / "a.jpg");
  const auto error = [&](std::string_view text) {
    put(folder / "a.xml", text);
    return error_of([&] { read_voc(folder.path, .1); });
  };
  EXPECT_NE(error("<annotation>\n<object>\n</annotation>").find("a.xml:3: not well-formed XML"), std::string::npos)
      << error("<annotation>\n<object>\n</annotation>");
  EXPECT_NE(error("<html></html>").find("expected <annotation>"), std::string::npos);
  EXPECT_NE(error("<annotation>\n<object><bndbox/></object></annotation>").find("a.xml:2: <object>: <name> is missing"), std::string::npos);
  EXPECT_NE(error("<annotation>\n\n<object><name>x</name></object></annotation>").find("a.xml:3: <object>: <bndbox> is missing"), std::string::npos);
  EXPECT_NE(error(voc_file("a.jpg", voc_object("x", "1 2 z 4"))).find("a.xml:3: <xmax> = 'z': expected a number"), std::string::npos)
      << error(voc_file("a.jpg", voc_object("x", "1 2 z 4")));
  EXPECT_NE(error_of([&] { read_voc(folder / "nothing", .1); }).find("no annotations of the VOC form"), std::string::npos);
}

constexpr std::string_view kCocoHead = R"({"info": {"year": 2017}, "categories": [{"id": 7, "name": "train"}, {"id": 1, "name": "person"}],)";
constexpr std::string_view kCocoTrain = R"(
"annotations": [
  {"id": 5, "image_id": 9, "category_id": 7, "bbox": [10, 5, 50, 25], "area": 700.5, "iscrowd": 0, "segmentation": [[10, 5, 60, 5, 60, 30]]},
  {"id": 6, "image_id": 9, "category_id": 1, "bbox": [0, 0, 100, 50], "iscrowd": 1, "segmentation": {"counts": [1, 2], "size": [50, 100]}},
  {"id": 7, "image_id": 9, "category_id": 7, "bbox": [10, 5, 50, 25]},
  {"id": 8, "image_id": 9, "category_id": 7, "bbox": [10, 5, 0, 25]}],
"images": [{"id": 9, "file_name": "000000000009.jpg", "width": 100, "height": 50}, {"id": 3, "file_name": "000000000003.jpg"}]})";
constexpr std::string_view kCocoValid = R"(
"images": [{"id": 4, "file_name": "000000000004.jpg", "width": 200, "height": 100}],
"annotations": [{"id": 1, "image_id": 4, "category_id": 1, "bbox": [20, 10, 100, 50], "iscrowd": 1},
  {"id": 2, "image_id": 4, "category_id": 1, "bbox": [100, 50, 100, 50], "iscrowd": 0}]})";

TEST(convert, coco) {
  const TestFolder folder("convert_coco");
  put(folder / "annotations/instances_train2017.json", concat(kCocoHead, kCocoTrain));
  put(folder / "annotations/instances_val2017.json", concat(kCocoHead, kCocoValid));
  for (const char* name : {"images/train2017/000000000009.jpg", "images/train2017/000000000003.jpg", "images/val2017/000000000004.jpg"})
    put_image(folder / name);
  const CocoFile file = read_coco_file(folder / "annotations/instances_train2017.json");
  ASSERT_EQ(file.images.size(), 2u);
  EXPECT_EQ(file.images[0].id, 3);
  EXPECT_EQ(file.categories[0].name, "person");
  ASSERT_EQ(file.images[1].objects.size(), 4u);
  EXPECT_EQ(file.images[1].objects[0].area, 700.5);
  EXPECT_EQ(file.images[1].objects[2].area, 1250);
  EXPECT_TRUE(file.images[1].objects[1].crowd);

  const YoloWriterReport report = convert(read_coco(folder.path, {}, {}, .1), folder.path);
  EXPECT_EQ(report.train.objects, 1);
  EXPECT_EQ(report.train.repeated, 1);
  EXPECT_EQ(report.train.empty, 1);
  EXPECT_EQ(report.train.difficult, 1);
  EXPECT_EQ(report.valid.other_size, 1);  // annotated as twice as large
  EXPECT_EQ(read_text(folder / "coco.names"), "person\ntrain\n");
  EXPECT_EQ(read_text(folder / "train.txt"), "images/train2017/000000000003.jpg\nimages/train2017/000000000009.jpg\n");
  EXPECT_EQ(read_text(folder / "labels/train2017/000000000009.txt"), "1 0.35000000 0.35000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(folder / "labels/val2017/000000000004.txt"), "0 0.75000000 0.75000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(folder / "difficult/000000000004.txt"), "0 0.35000000 0.35000000 0.50000000 0.50000000\n");
}

TEST(convert, coco_files_of_other_places) {
  const TestFolder folder("convert_coco2");
  put(folder / "train/_annotations.coco.json", concat(kCocoHead, kCocoTrain));
  for (const char* name : {"train/000000000009.jpg", "train/000000000003.jpg"}) put_image(folder / name);
  const AnnotatedSet divided = read_coco(folder.path, {}, {}, .1);  // no validation file: two images are divided
  EXPECT_EQ(divided.train.size(), 1u);
  EXPECT_EQ(divided.valid.size(), 1u);
  EXPECT_EQ(divided.train[0].file, folder / "train/000000000003.jpg");
  put(folder / "instances_train1.json", concat(kCocoHead, kCocoTrain));
  EXPECT_NE(error_of([&] { read_coco(folder.path, {}, {}, .1); }).find("choose it with -train FILE"), std::string::npos);
  put(folder / "v.json", R"({"images": [], "annotations": [], "categories": [{"id": 1, "name": "tram"}]})");
  EXPECT_NE(error_of([&] { read_coco(folder.path, folder / "instances_train1.json", folder / "v.json", .1); }).find("its categories are not those"),
            std::string::npos);
}

TEST(convert, malformed_coco_is_named_with_its_place) {
  const TestFolder folder("convert_json");
  const auto error = [&](std::string_view text) {
    put(folder / "x.json", text);
    return error_of([&] { read_coco_file(folder / "x.json"); });
  };
  const std::string images = R"({"categories": [{"id": 1, "name": "a"}], "images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [)";
  EXPECT_NE(error("{\"images\": [1,\n 2").find("x.json: not well-formed JSON"), std::string::npos);
  EXPECT_NE(error("{\"images\": [1,\n 2").find("line 2"), std::string::npos) << error("{\"images\": [1,\n 2");
  EXPECT_NE(error("[]").find("images is missing"), std::string::npos) << error("[]");
  EXPECT_NE(error("{\"images\": [1], \"annotations\": [], \"categories\": []}").find("images: expected a list of objects"), std::string::npos);
  EXPECT_NE(error(images + R"({"image_id": 1, "category_id": 1, "bbox": [0,0,1,1]}, {"image_id": 1, "category_id": 1, "bbox": [0, 1]}]})")
                .find("x.json: annotations[1]: bbox = [0,1]: expected [left, top, width, height]"),
            std::string::npos);
  EXPECT_NE(error(images + R"({"image_id": 1, "bbox": [0,0,1,1]}]})").find("annotations[0]: category_id is missing"), std::string::npos);
  EXPECT_NE(error(images + R"({"image_id": "1", "category_id": 1, "bbox": [0,0,1,1]}]})").find("image_id = \"1\": expected a whole number"),
            std::string::npos);
  EXPECT_NE(error(images + R"({"image_id": 2, "category_id": 1, "bbox": [0,0,1,1]}]})").find("annotations[0]: image_id = 2: no such image"),
            std::string::npos);
  EXPECT_NE(
      error(R"({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "images": [], "annotations": []})").find("the id 1 occurs twice"),
      std::string::npos);
  EXPECT_NE(error(R"({"categories": [{"id": 1, "name": ""}], "images": [], "annotations": []})").find("categories[0]: name"), std::string::npos);
}

TEST(convert, kitti) {
  const TestFolder folder("convert_kitti");
  const fs::path root = folder / "training";
  const std::string rest = " 1.6 1.6 3.9 1.0 1.0 20.0 -1.5\n";
  put(root / "label_2/000000.txt",
      "Car 0.00 0 -1.5 10.00 5.00 60.00 30.00" + rest + "DontCare -1 -1 -10 0.0 0.0 20.0 10.0 -1 -1 -1 -1000 -1000 -1000 -10\n");
  put(root / "label_2/000001.txt",
      "Cyclist 0.00 0 -1.5 50.00 25.00 99.50 49.50" + rest + "DontCare -1 -1 -10 0.0 0.0 20.0 10.0 -1 -1 -1 -1000 -1000 -1000 -10\n");
  for (const char* name : {"000000.png", "000001.png"}) put_image(root / "image_2" / name);
  const YoloWriterReport report = convert(read_kitti(folder.path, .5), folder.path, folder / "out");
  EXPECT_EQ(report.train.objects, 1);
  EXPECT_EQ(read_lines(folder / "out/kitti.names"),
            (std::vector<std::string>{"Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc"}));
  EXPECT_EQ(read_text(folder / "out/train/000000.txt"), "0 0.35000000 0.35000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(folder / "out/valid/000001.txt"), "5 0.74750000 0.74500000 0.49500000 0.49000000\n");
  const std::vector<std::string> difficult = read_lines(folder / "out/difficult/000001.txt");  // of every class
  ASSERT_EQ(difficult.size(), 8u);
  EXPECT_EQ(difficult[7], "7 0.10000000 0.10000000 0.20000000 0.20000000");
  put(folder / "ImageSets/train.txt", "000001\n");
  put(folder / "ImageSets/val.txt", "000000\n");
  EXPECT_EQ(read_kitti(folder.path, .5).valid[0].file, root / "image_2/000000.png");
  put(root / "label_2/000001.txt", "\nCar 0 0 0 1 2 3\n");
  EXPECT_NE(error_of([&] { read_kitti(folder.path, .5); }).find("000001.txt:2: 7 values: expected 15"), std::string::npos);
  put(root / "label_2/000001.txt", "Car 0.00 0 -1.5 10.00 x 60.00 30.00" + rest);
  EXPECT_NE(error_of([&] { read_kitti(folder.path, .5); }).find("000001.txt:1: 'x': expected a number"), std::string::npos);
}

TEST(convert, bdd) {
  const TestFolder folder("convert_bdd");
  constexpr std::string_view kTrain = R"([
    {"name": "a.jpg", "attributes": {"weather": "clear"}, "labels": [
      {"category": "car", "box2d": {"x1": 10, "y1": 5.0, "x2": 60, "y2": 30}, "attributes": {"occluded": false}},
      {"category": "lane", "poly2d": [{"vertices": [[0, 0], [1, 1]], "types": "LL"}]}]},
    {"name": "b.jpg", "labels": null}, {"name": "c.jpg"}])";
  put(folder / "labels/det_20/det_train.json", kTrain);
  put(folder / "labels/det_20/det_val.json",
      R"([{"name": "d.jpg", "labels": [{"category": "traffic sign", "box2d": {"x1": 0, "y1": 0, "x2": 100, "y2": 50}}]}])");
  for (const char* name : {"train/a", "train/b", "train/c", "val/d"}) put_image(folder / concat("images/100k/", name, ".jpg"));
  const YoloWriterReport report = convert(read_bdd(folder.path, .1), folder.path, folder / "out");
  EXPECT_EQ(report.train.images, 3);
  EXPECT_EQ(report.train.objects, 1);
  EXPECT_EQ(read_text(folder / "out/train/a.txt"), "2 0.35000000 0.35000000 0.50000000 0.50000000\n");
  EXPECT_EQ(read_text(folder / "out/valid/d.txt"), "9 0.50000000 0.50000000 1.00000000 1.00000000\n");
  EXPECT_EQ(read_lines(folder / "out/bdd.names").size(), 10u);
  const auto error = [&](std::string_view text) {
    put(folder / "labels/det_20/det_val.json", text);
    return error_of([&] { read_bdd(folder.path, .1); });
  };
  EXPECT_NE(error(R"([{"name": "d.jpg"}, {"labels": []}])").find("det_val.json: [1]: name is missing"), std::string::npos)
      << error(R"([{"labels": []}])");
  EXPECT_NE(error(R"([{"name": "d.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}])").find("[0]: labels[0]: box2d.y1 is missing"),
            std::string::npos);
  EXPECT_NE(error("{}").find("expected a list of images"), std::string::npos);
  EXPECT_NE(error("[{]").find("not well-formed JSON"), std::string::npos);
}

TEST(convert, a_set_without_any_usable_image_is_refused) {
  const TestFolder folder("convert_none");
  put(folder / "set/a.xml", voc_file("a.jpg", ""));
  const std::string error = error_of([&] { convert(read_voc(folder / "set", .1), folder / "set", folder / "out"); });
  EXPECT_NE(error.find("no usable training image among 1; image left out: "), std::string::npos) << error;
}

}  // namespace
}  // namespace dn
