// Text to and from JSON, compiled in one place: the parser and the writer of nlohmann's library take seconds to compile wherever they are used.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace dn {

// Throws nlohmann::json::exception. `keep`, where given, is called for what is read and says whether it is kept.
nlohmann::json parse_json(const std::string& text, const nlohmann::json::parser_callback_t& keep = nullptr);
// A value that is_discarded() where the text is not JSON.
nlohmann::json parse_json_or_discarded(const std::string& text);

// On one line, or, with an `indent`, on many. Throws where a string is not UTF-8.
std::string json_text(const nlohmann::json& value, int indent = -1);
// With a replacement character for what is not UTF-8, as names of files may be.
std::string json_text_of_any(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace dn
