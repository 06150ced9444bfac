#include "base/json.h"

namespace dn {

nlohmann::json parse_json(const std::string& text, const nlohmann::json::parser_callback_t& keep) { return nlohmann::json::parse(text, keep); }

nlohmann::json parse_json_or_discarded(const std::string& text) { return nlohmann::json::parse(text, nullptr, false); }

std::string json_text(const nlohmann::json& value, int indent) { return value.dump(indent); }

std::string json_text_of_any(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace dn
