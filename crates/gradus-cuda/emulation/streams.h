// What the stand-in driver's two files share: the memory calls are in driver.cpp, streams and graphs in streams.cpp.
#pragma once
#include "gr_cpu.h"
#include <functional>
#define API extern "C" __attribute__((visibility("default"))) int
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, BAD_DEVICE = 101, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_STATE = 401,
       CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_ISOLATION = 905, CAPTURED_EVENT = 907 };
typedef std::function<int()> Work;
bool inside(u64 p, size_t n);              // device memory that was asked for
bool is_pinned(const void* p, size_t n);   // host memory that was asked for
int put(void* stream, Work work);          // behind what is on the stream; in a capture, into its graph
int put_and_wait(void* stream, Work work); // and runs the stream as far as that; no capture can have it
bool is_capturing(void* stream);
int refuse(void* stream, int why);         // ends a capture: what comes out of it is no graph
void drain_all();
