// The loader of libraries, with libraries of ours that pretend (tests/fake_libraries): where it looks and what it says.
#include "device/cuda/library.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/files.h"
#include "device/cuda/convolution.h"
#include "device/cuda/cublaslt.h"
#include "device/cuda/cudnn_api.h"
#include "device/cuda/nccl.h"
#include "tests/harness/convolutions.h"

namespace dn::cuda {
namespace {

const std::string kFakes = DN_FAKE_LIBRARIES;

LibraryPlace fake(const std::string& name) { return {kFakes + "/" + name, name}; }

// An environment variable for the length of a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

class LibraryFiles : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const fs::path folder_ = fs::temp_directory_path() / concat("dn_library_", static_cast<int>(::getpid()));
};

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Library, SaysWhereItLookedForWhatIsNotThere) {
  EXPECT_EQ(error_of([] {
              cudnn::load({fake("nothing"), {"/nowhere", "/nowhere"}});
            }),
            "cuDNN 9.0 or later was not found: looked for libcudnn.so.9 or libcudnn.so in nothing, /nowhere");
}

TEST(Library, SaysWhichVersionIsTooOld) {
  EXPECT_EQ(error_of([] { cudnn::load({fake("old")}); }), concat("cuDNN 9.0 or later was not found: looked for libcudnn.so.9 or libcudnn.so in old; ",
                                                                 kFakes, "/old/libcudnn.so.9 is version 8.9.7"));
}

TEST(Library, SaysWhichFunctionsAreMissing) {
  const std::string message = error_of([] { cudnn::load({fake("incomplete")}); });
  EXPECT_NE(message.find("/incomplete/libcudnn.so.9 has no cudnnGetErrorString, cudnnGetLastErrorString, cudnnCreate, "), message.npos) << message;
  EXPECT_EQ(message.find("cudnnGetVersion"), message.npos) << message;
}

TEST_F(LibraryFiles, SaysWhatIsWrongWithAFileThatIsNoLibrary) {
  write_file(folder_ / "libcudnn.so.9", "this is text");
  const std::string message = error_of([&] { cudnn::load({{folder_.string(), "a folder"}}); });
  EXPECT_NE(message.find("in a folder; " + (folder_ / "libcudnn.so.9").string() + ": "), message.npos) << message;
}

TEST(Library, TakesTheFirstThatWillDo) {
  const auto api = cudnn::load({fake("nothing"), fake("old"), fake("incomplete"), fake("usable")});
  EXPECT_EQ(api->library.path(), kFakes + "/usable/libcudnn.so.9");
  EXPECT_EQ(api->version, 91002u);
  EXPECT_EQ(cudnn::version_text(api->version), "9.10.2");
}

TEST(Library, TheFoldersOfTheUserComeFirst) {
  const Variable own("DARKNET_CUDA_LIBS", kFakes + "/usable");
  EXPECT_EQ(cudnn::load()->library.path(), kFakes + "/usable/libcudnn.so.9");
  const auto places = library_places();
  ASSERT_GE(places.size(), 3u);
  EXPECT_EQ(places[0].folder, kFakes + "/usable");
  EXPECT_EQ(places[1].folder, "");
  EXPECT_EQ(places[2].folder, "/usr/local/cuda/lib64");
}

TEST_F(LibraryFiles, PackagesOfPythonAreLookedThrough) {
  const std::string packages = ".local/lib/python3.12/site-packages/nvidia/";
  for (const char* package : {"cudnn/lib", "cu13/lib", "empty"}) fs::create_directories(folder_ / (packages + package));
  fs::create_symlink(kFakes + "/usable/libcudnn.so.9", folder_ / (packages + "cudnn/lib/libcudnn.so.9"));
  const Variable home("HOME", folder_.string()), conda("CONDA_PREFIX", ""), environment("VIRTUAL_ENV", ""), own("DARKNET_CUDA_LIBS", "");
  std::vector<LibraryPlace> found;
  for (const LibraryPlace& place : library_places())
    if (place.folder.starts_with(folder_.string())) found.push_back(place);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].folder, (folder_ / (packages + "cu13/lib")).string());
  EXPECT_EQ(cudnn::load(found)->library.path(), (folder_ / (packages + "cudnn/lib/libcudnn.so.9")).string());
}

// As on a machine where PyTorch is in a virtual environment that nobody activated.
TEST_F(LibraryFiles, EveryPythonOnThePathIsLookedThrough) {
  const fs::path lib = folder_ / "venv/lib/python3.12/site-packages/nvidia/cudnn/lib";
  fs::create_directories(lib);
  fs::create_directories(folder_ / "venv/bin");
  write_file(folder_ / "venv/bin/python3", "");
  for (const char* end : {"", "/"}) {
    const Variable path("PATH", concat((folder_ / "none/bin").string(), "::", (folder_ / "venv/bin").string(), end, ":/usr/bin"));
    const Variable home("HOME", ""), conda("CONDA_PREFIX", ""), environment("VIRTUAL_ENV", "");
    const std::vector<LibraryPlace> places = library_places();
    EXPECT_EQ(std::ranges::count(places, lib.string(), &LibraryPlace::folder), 1);
  }
}

// Those of CUDA cannot be closed: what was loaded is there as long as the process.
TEST(Library, StaysOpen) {
  const std::string path = cudnn::load({fake("usable")})->library.path();
  void* const still = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(still, nullptr);
  dlclose(still);
}

TEST(Library, AnEngineThatCannotStartSaysWhy) {
  const Variable own("DARKNET_CUDA_LIBS", kFakes + "/usable");
  const auto stream = emulated_stream();
  EXPECT_EQ(error_of([&] { cudnn_conv_engine(*stream, {}, ""); }), "cuDNN: starting on the GPU: FAKE_ERROR (this is no cuDNN)");
}

// The pretended cuBLASLt multiplies on the host, which shows that rows, columns and turns are as they should be.
TEST(Library, AProductIsDescribedAsCuBlasSeesMatrices) {
  constexpr size_t kRows = 5, kInner = 8, kColumns = 16;
  const auto handle = std::make_shared<const cublaslt::Handle>(cublaslt::load({fake("usable")}));
  const auto stream = emulated_stream();
  for (const DType type : {DType::bf16, DType::f16}) {
    const auto x = testing::random_values(kRows * kInner, type, 1), w = testing::random_values(kColumns * kInner, type, 2);
    std::vector<uint16_t> x_bits, w_bits;
    for (const float value : x) x_bits.push_back(testing::narrowed(value, type));
    for (const float value : w) w_bits.push_back(testing::narrowed(value, type));
    std::vector<float> y(kRows * kColumns);
    const cublaslt::Product product(handle, type, kRows, kInner, kColumns, 1000);
    EXPECT_EQ(product.workspace_bytes(), 500u);
    product.run(*stream, x_bits.data(), w_bits.data(), y.data(), nullptr);
    for (size_t row = 0; row < kRows; ++row)
      for (size_t column = 0; column < kColumns; ++column) {
        float sum = 0;
        for (size_t i = 0; i < kInner; ++i) sum += x[row * kInner + i] * w[column * kInner + i];
        EXPECT_FLOAT_EQ(y[row * kColumns + column], sum) << row << ", " << column;
      }
  }
}

// The pretended NCCL works on the host's memory and only does what all ranks ask for together.
TEST(Library, SeveralGpusSumAndCopy) {
  EXPECT_NE(error_of([] { nccl::load({fake("old")}); }).find("libnccl.so.2 is version 2.8.4"), std::string::npos);
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<Device*> pointers;
  std::vector<std::vector<float>> data;
  std::vector<float*> floats;
  std::vector<void*> bytes;
  for (int gpu = 0; gpu < 3; ++gpu) {
    devices.push_back(std::make_unique<Device>(DeviceOptions{.emulated = true, .gpu = gpu}));
    pointers.push_back(devices.back().get());
    data.push_back({1.f + static_cast<float>(gpu), 10, 100});
  }
  for (auto& of_one : data) floats.push_back(of_one.data()), bytes.push_back(of_one.data());
  const auto links = nccl::links(nccl::load({fake("usable")}), pointers);
  EXPECT_EQ(links->description(), "links by NCCL 2.28.9");
  links->sum_into_first(floats, 2);
  EXPECT_EQ(data[0], (std::vector<float>{6, 30, 100}));
  EXPECT_EQ(data[2], (std::vector<float>{3, 10, 100}));
  links->copy_from_first(bytes, sizeof(float));
  EXPECT_EQ(data[2], (std::vector<float>{6, 10, 100}));
  pointers[2] = pointers[0];
  EXPECT_EQ(error_of([&] { nccl::links(nccl::load({fake("usable")}), pointers); }), "NCCL: connecting the GPUs: invalid usage");
}

}  // namespace
}  // namespace dn::cuda
