// A library that calls itself a cuDNN of DN_FAKE_VERSION.
#include <cstddef>

extern "C" size_t cudnnGetVersion() { return DN_FAKE_VERSION; }
