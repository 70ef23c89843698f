// Preloaded into llama.cpp's tools, whose log is written by a thread that the program leaks: its last lines, the results,
// may be lost at exit. Pausing the log empties the queue and joins the thread.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static void flush(void) {
  void *(*current_log)(void) = (void *(*)(void)) dlsym(RTLD_DEFAULT, "_Z15common_log_mainv");
  void (*pause_log)(void *) = (void (*)(void *)) dlsym(RTLD_DEFAULT, "_Z16common_log_pauseP10common_log");
  if (current_log && pause_log) pause_log(current_log());
}

__attribute__((constructor)) static void arm(void) { atexit(flush); }
