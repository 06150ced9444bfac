// What the leak sanitizer is not to report, in every program of a build with sanitizers: memory that libraries keep until the process ends.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libfontconfig\n";   // its tables, made with the first text that is drawn
}
