// The program: hands its words to the command line and turns what goes wrong into a message and an exit code.
#include <iostream>
#include <new>

#include "base/error.h"
#include "cli/commands.h"

int main(int argc, char** argv) {
  try {
    return dn::cli::run(std::vector<std::string>(argv + (argc > 0), argv + argc));
  } catch (const dn::Error& e) {
    std::cerr << "error: " << e.what() << std::endl;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory; a smaller batch / subdivisions, width or height needs less" << std::endl;
  } catch (const std::exception& e) {  // of the standard library: threads, file systems
    std::cerr << "error: " << e.what() << std::endl;
    return 1;
  }
  return 2;
}
