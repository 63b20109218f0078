#include "harness/command_options.h"

#include <fmt/format.h>

#include "harness/nearest_name.h"

namespace daq {

CLI::Validator Something(const std::string& expected) {
  return {[expected](const std::string& text) {
            return text.empty() ? fmt::format("expected {}, found nothing", expected) : "";
          },
          ""};
}

CLI::Validator OneOfNames(const std::vector<std::string_view>& names) {
  return {[names](const std::string& text) -> std::string {
            if (std::find(names.begin(), names.end(), text) != names.end()) return "";
            return fmt::format("expected {}, found \"{}\"{}", OneOf(names), text,
                               DidYouMean(text, names));
          },
          fmt::format("{{{}}}", fmt::join(names, ","))};
}

std::string ExtraMistake(const CLI::App& command) {
  const std::vector<std::string> extras = command.remaining();
  if (extras.empty()) return "";
  const auto option = std::find_if(extras.begin(), extras.end(),
                                   [](const std::string& extra) { return extra.starts_with('-'); });
  if (option == extras.end())
    return fmt::format("{}: unexpected argument \"{}\"", command.get_name(), extras.front());
  const std::string found = option->substr(0, option->find('='));
  std::vector<std::string> names;
  for (const CLI::Option* known : command.get_options()) {
    for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return fmt::format("{}: no such option of {}{}; daq-bench {} --help lists them", found,
                     command.get_name(), DidYouMean(found, views), command.get_name());
}

}  // namespace daq
