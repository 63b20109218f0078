#pragma once
#include <span>
#include <string>
#include <string_view>

namespace daq {

// The least number of inserted, removed, changed or (neighbours) exchanged bytes that turn `from`
// into `to`, upper and lower case being the same (the optimal string alignment distance).
std::size_t EditDistance(std::string_view from, std::string_view to);

// The name nearest to `name` by EditDistance, the first of several; empty if even that differs in
// more than half of the longer one's bytes, because such a guess would only mislead. A name that
// begins with `name` (three bytes or more) is always near: `grid` for grid_points.
std::string_view NearestName(std::string_view name, std::span<const std::string_view> names);

// " (did you mean NEAREST?)", to follow what was found; empty where NearestName is.
std::string DidYouMean(std::string_view name, std::span<const std::string_view> names);

// "one of a, b, c", to follow "expected"; "a" if it is the only one.
std::string OneOf(std::span<const std::string_view> names);

}  // namespace daq
