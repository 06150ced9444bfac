#include "tests/npy.h"

#include <gtest/gtest.h>

namespace dn::testing {
namespace {

std::string npy_text(std::string header, const std::vector<float>& data) {
  while ((10 + header.size() + 1) % 64) header += ' ';
  header += '\n';
  std::string text = "\x93NUMPY";
  text += '\x01';
  text += '\0';
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  text += header;
  text.append(reinterpret_cast<const char*>(data.data()), data.size() * sizeof(float));
  return text;
}

struct TemporaryFile {
  fs::path path = fs::temp_directory_path() / concat("dn_npy_test_", ::testing::UnitTest::GetInstance()->random_seed(), "_",
                                                     ::testing::UnitTest::GetInstance()->current_test_info()->name(), ".npy");
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

TEST(npy, reads_shapes_and_values) {
  TemporaryFile file;
  write_file(file.path, npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", {1, 2, 3, 4, 5, 6.5f}));
  const Npy array = read_npy(file.path);
  EXPECT_EQ(array.shape, (std::vector<int>{2, 3}));
  EXPECT_EQ(array.data, (std::vector<float>{1, 2, 3, 4, 5, 6.5f}));
  EXPECT_EQ(array.dim(2), 1);
  write_file(file.path, npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", {7, 8}));
  EXPECT_EQ(read_npy(file.path).shape, std::vector<int>{2});
}

TEST(npy, refuses_what_it_cannot_read) {
  TemporaryFile file;
  const auto refused = [&](const std::string& text) {
    write_file(file.path, text);
    EXPECT_THROW(read_npy(file.path), Error) << text;
  };
  refused("no array at all");
  refused(npy_text("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", {1, 2, 3, 4}));
  refused(npy_text("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", {1, 2}));
  refused(npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", {1, 2}));
  refused(npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", {1, 2}));
  refused(npy_text("{'descr': '<f4', 'fortran_order': False }", {1, 2}));
}

}  // namespace dn::testing
