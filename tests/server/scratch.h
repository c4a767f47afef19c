// A folder of the test's own, gone with this object.
#ifndef CONVSERVE_TESTS_SERVER_SCRATCH_H_
#define CONVSERVE_TESTS_SERVER_SCRATCH_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace convserve {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = std::filesystem::temp_directory_path() / "convserve-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path(const std::string& name) const { return path_ / name; }

  // Puts a whole file in the place of `name` at once, as a careful operator does.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name + ".new")) << text;
    std::filesystem::rename(path(name + ".new"), path(name));
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_SCRATCH_H_
