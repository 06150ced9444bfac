// What the network is shown, for people (-show_imgs): the first samples of a run as pictures with their boxes and class names, and a sheet of all of them.
#pragma once

#include <string>
#include <vector>

#include "data/loader.h"
#include "image/image.h"

namespace dn {

class SamplePictures {
 public:
  // `count` pictures of the first batches go to `folder`, which is made: iteration_I_sample_K.jpg, I being the iteration that learns from it, then
  // sheet.jpg. Pictures of an earlier run with these names are replaced. `names` may be empty: class numbers then. Throws Error when the folder
  // cannot be made.
  SamplePictures(fs::path folder, std::vector<std::string> names, int count);
  bool done() const { return wanted_ == 0; }
  const fs::path& folder() const { return folder_; }
  // A picture that cannot be written is a warning. True when these were the last.
  bool add(const Batch& batch);

 private:
  void save(const fs::path& name, const Image& image) const;
  fs::path folder_;
  std::vector<std::string> names_;
  int wanted_;
  std::vector<Image> drawn_;
};

// Image `index` of the batch in 8 bits, with its boxes. Throws Error when the batch has channels other than 1 or 3.
Image sample_picture(const Batch& batch, int index, const std::vector<std::string>& names);

}  // namespace dn
