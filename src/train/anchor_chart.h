// The boxes of a data set by width and height, in the colours of their nearest anchors, and the anchors among them.
#pragma once

#include "image/image.h"
#include "train/anchors.h"

namespace dn {

// Of very many boxes an even sample is drawn.
Image anchor_chart(std::span<const TruthBox> labels, const AnchorResult& result, const AnchorOptions& options);

}  // namespace dn
