// docs/command-line.md lists the options that each command's --help prints, docs/results.md the
// columns that CSV has: no more and no fewer.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

using Words = std::set<std::string>;

// What the first group of `pattern` finds.
Words Find(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  Words words;
  for (std::sregex_iterator at(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at)
    words.insert((*at)[1]);
  return words;
}

std::string Document(const std::string& name) {
  return ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "docs" / name);
}

TEST(CommandLineDocsTest, EveryOptionOfEveryCommandIsInTheTable) {
  const std::string document = Document("command-line.md");
  const Words commands = Find(RunProgram({DAQ_BINARY, "--help"}).output, "\n  ([a-z]+)  ");
  EXPECT_EQ(commands, Find(document, "\n\\| `([a-z]+) [A-Z.]+`"));
  ASSERT_GE(commands.size(), 6U);
  for (const std::string& command : commands) {
    const std::string help = RunProgram({DAQ_BINARY, command, "--help"}).output;
    EXPECT_EQ(Find(help, "\n  (?:-[a-z],)?(--[a-z-]+)"),
              Find(document, "\n\\| `(--[a-z-]+)[^`]*` \\| (?:[a-z]+, )*" + command + "[ ,]"))
        << command;
  }
}

class CsvDocsTest : public ProgramTest {};

TEST_F(CsvDocsTest, EveryColumnIsListed) {
  ASSERT_EQ(Run({config(), "--quiet"}).exit_code, 0);
  const std::string csv = Run({"report", config(), "--format", "csv"}).output;
  const std::string document = Document("results.md");
  const std::size_t begin = document.find("\n## CSV\n");
  ASSERT_NE(begin, std::string::npos);
  std::string first_cells;
  for (const std::string& cell : Find(document.substr(begin), "\n\\| (`[^|]*`) \\|"))
    first_cells += cell;
  EXPECT_EQ(Find(csv.substr(0, csv.find('\n')), "([a-z_0-9]+)"),
            Find(first_cells, "`([a-z_0-9]+)`"));
}

}  // namespace
}  // namespace daq
