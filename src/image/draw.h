// Pictures for people: boxes with labels on an image, several images on one sheet.
#pragma once

#include <span>
#include <string>

#include "image/box.h"
#include "image/canvas.h"
#include "image/image.h"

namespace dn {

struct DrawItem {
  Box box;                // relative to the image
  std::string name;       // class name; empty: no name
  float confidence = -1;  // 0..1, shown in percent; negative: not shown (truth boxes)
  int color = 0;          // usually the class number
};

// Well separated colours for any number of classes; the same number always has the same colour.
Color class_color(int index);

// Draws boxes and labels; sizes follow the image. A grey image becomes RGB. Boxes that are not finite or lie outside are left out or cut.
void draw_detections(Image& image, std::span<const DrawItem> items);

// The images in rows of `columns`, each fitted into a cell of the largest image's size (smaller where the sheet would become too large), with
// thin gutters. Error when there are no images or columns < 1.
Image make_contact_sheet(std::span<const Image> images, int columns);

}  // namespace dn
