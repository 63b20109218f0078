#include "tests/support/text_files.h"

#include <fstream>
#include <stdexcept>

namespace daq {

std::filesystem::path WriteText(const std::filesystem::path& folder, const std::string& name,
                                std::string_view content) {
  const std::filesystem::path path = folder / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
  return path;
}

}  // namespace daq
