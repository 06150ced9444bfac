// The generator against published numbers, and many numbers at once against one by one.
#include "base/rng.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/philox.h"

namespace dn {
namespace {

// The known answers of the authors' library for counter and key.
TEST(Rng, BlocksArePhilox) {
  const philox::Block zeros = philox::block({{0, 0}, {0, 0, 0}}, 0);
  const philox::Block ones = philox::block({{~0u, ~0u}, {~0u, ~0u, ~0u}}, ~0u);
  const philox::Block pi = philox::block({{0xa4093822u, 0x299f31d0u}, {0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0x243f6a88u);
  const uint32_t expected[3][4] = {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u},
                                   {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu},
                                   {0xd16cfe09u, 0x94fdcceb, 0x5001e420u, 0x24126ea1u}};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(zeros.w[i], expected[0][i]);
    EXPECT_EQ(ones.w[i], expected[1][i]);
    EXPECT_EQ(pi.w[i], expected[2][i]);
  }
}

// Also where a block is half used.
TEST(Rng, ManyAtOnceAreTheSameAsOneByOne) {
  for (const int before : {0, 1, 2, 3, 4}) {
    Rng many(7, RandomUse::test, 1, 2), single(7, RandomUse::test, 1, 2);
    for (int i = 0; i < before; ++i) ASSERT_EQ(many.next(), single.next());
    for (size_t count = 0; count < 20; ++count) {
      std::vector<double> got(count);
      many.uniforms(got);
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(got[i], single.uniform()) << i << " of " << count << " after " << before;
    }
    ASSERT_EQ(many.next(), single.next());
  }
}

}  // namespace
}  // namespace dn
