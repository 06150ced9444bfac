// Image lists and the order of drawing.
#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::TestFolder;

std::string list_error(const TestFolder& folder, std::string_view text) {
  write_file(folder / "bad.txt", text);
  try {
    Dataset dataset(folder / "bad.txt");
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

TEST(data, ListsAreReadAsWritten) {
  const TestFolder folder("list");
  write_file(folder / "list.txt",
             "\xEF\xBB\xBF"
             "a b.jpg\r\n\n  \"q;$(x).jpg\" \n/abs/c.jpg\n../d.jpg\na b.jpg");
  const Dataset dataset(folder / "list.txt");
  ASSERT_EQ(dataset.size(), 5u);
  EXPECT_EQ(dataset.written(0), "a b.jpg");
  EXPECT_EQ(dataset.written(1), "q;$(x).jpg");
  EXPECT_EQ(dataset.image(0), (folder / "a b.jpg").string());
  EXPECT_EQ(dataset.image(2), "/abs/c.jpg");
  EXPECT_EQ(dataset.image(3), (folder / "../d.jpg").string());
  EXPECT_EQ(dataset.duplicates(), 1u);
}

TEST(data, BadListsAreRefused) {
  const TestFolder folder("badlist");
  EXPECT_NE(list_error(folder, "").find("bad.txt: no image paths"), std::string::npos);
  EXPECT_NE(list_error(folder, "\n \r\n\t\n").find("no image paths"), std::string::npos);
  EXPECT_NE(list_error(folder, "a.jpg\n" + std::string(5000, 'x')).find("bad.txt:2: a path of 5000 bytes: expected at most 4095"), std::string::npos);
  EXPECT_NE(list_error(folder, std::string_view("a\0b.jpg", 7)).find("bad.txt:1: a NUL byte"), std::string::npos);
  EXPECT_THROW(Dataset(folder / "none.txt"), Error);
  EXPECT_THROW(Dataset(folder.path), Error);
}

TEST(data, OverlapOfLists) {
  const TestFolder folder("overlap");
  write_file(folder / "a.txt", "1.jpg\n2.jpg\n2.jpg\n3.jpg\n");
  write_file(folder / "b.txt", "2.jpg\n4.jpg\n" + (folder / "3.jpg").string() + "\n3.jpg\n");
  EXPECT_EQ(overlap(Dataset(folder / "a.txt"), Dataset(folder / "b.txt")), 2u);
}

TEST(data, EpochsShowEveryImageOnce) {
  for (const size_t images : {1u, 2u, 7u, 1000u}) {
    const Sampler sampler(5, images);
    for (uint64_t epoch = 0; epoch < 4; ++epoch) {
      std::set<size_t> seen;
      for (uint64_t i = 0; i < images; ++i) seen.insert(sampler.index(epoch * images + i));
      EXPECT_EQ(seen.size(), images);
      EXPECT_LT(*seen.rbegin(), images);
    }
  }
}

TEST(data, OrderIsAPureFunctionOfSeedAndNumber) {
  const Sampler a(5, 100), b(5, 100), other(6, 100);
  std::vector<size_t> forward, backward, foreign;
  for (uint64_t i = 0; i < 1000; ++i) forward.push_back(a.index(i));
  for (uint64_t i = 1000; i-- > 0;) backward.push_back(b.index(i));
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
  for (uint64_t i = 0; i < 1000; ++i) foreign.push_back(other.index(i));
  EXPECT_NE(forward, foreign);
  EXPECT_FALSE(std::equal(forward.begin(), forward.begin() + 100, forward.begin() + 100));  // the next epoch has another order
}

TEST(data, OrderIsUniform) {
  // Which image comes first over many epochs: each of 8 in an eighth of them (chi-square, 7 degrees of freedom, p = 0.001 at 24.3).
  const Sampler sampler(11, 8);
  std::vector<double> count(8);
  constexpr int kEpochs = 8000;
  for (uint64_t e = 0; e < kEpochs; ++e) ++count[sampler.index(e * 8)];
  double chi = 0;
  for (const double c : count) chi += (c - kEpochs / 8.0) * (c - kEpochs / 8.0) / (kEpochs / 8.0);
  EXPECT_LT(chi, 24.3);
}

}  // namespace
}  // namespace dn
