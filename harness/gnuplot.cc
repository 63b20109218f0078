#include "harness/gnuplot.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "base/file.h"

namespace daq {
namespace {

constexpr int kCommandNotFound = 127;

// A file of the system's folder for temporary ones, removed in the end.
class ScriptFile {
 public:
  explicit ScriptFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("daq-bench-{}.gnuplot", ::getpid())) {
    WriteFileAtomically(path_, text);
    WriteFileAtomically(messages(), "");
  }
  ~ScriptFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    std::filesystem::remove(messages(), ignored);
  }
  ScriptFile(const ScriptFile&) = delete;
  ScriptFile& operator=(const ScriptFile&) = delete;
  const std::filesystem::path& path() const { return path_; }
  // What gnuplot says while it draws: its warnings are no part of a drawing.
  std::filesystem::path messages() const { return path_.string() + ".messages"; }

 private:
  std::filesystem::path path_;
};

// gnuplot titles a drawing and its curves by their ids, which browsers show as tooltips.
std::string WithoutTitles(std::string svg) {
  constexpr std::string_view kEnd = "</title>";
  for (std::size_t at = 0; (at = svg.find("<title>", at)) != std::string::npos;)
    svg.erase(at, svg.find(kEnd, at) + kEnd.size() - at);
  return svg;
}

}  // namespace

std::string DrawWithGnuplot(const std::string& script, const std::string& name, int width,
                            int height) {
  const ScriptFile file(fmt::format(
      "set terminal svg size {},{} dynamic font \"sans-serif,13\" noenhanced name \"{}\"\n{}",
      width, height, name, script));
  // Any locale's numbers would do for a reader, but only one gives the same bytes everywhere.
  const std::string command = fmt::format("LC_ALL=C.UTF-8 gnuplot '{}' 2>'{}'",
                                          file.path().string(), file.messages().string());
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start gnuplot");
  std::string output;
  std::array<char, 65536> buffer = {};
  for (std::size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    output.append(buffer.data(), read);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCommandNotFound)
    throw std::runtime_error("the plots of a page need gnuplot: apt-get install gnuplot-nox");
  const std::size_t begin = output.find("<svg");
  if (status != 0 || begin == std::string::npos) {
    throw std::runtime_error(
        fmt::format("gnuplot failed: {}", ReadFile(file.messages()).substr(0, 500)));
  }
  return WithoutTitles(output.substr(begin));
}

std::string GnuplotText(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c == '\n' ? ' ' : c);
  }
  return quoted + "\"";
}

}  // namespace daq
