// The stand-in driver's streams: queues whose work runs when somebody waits for it, in an order that shows what was not ordered.
//
// A real GPU runs two streams as it likes, and the host ahead of both. Here nothing runs when it is put on a stream; it runs when the
// host waits, and GRADUS_EMULATION_STREAMS says in what order: "late" (the default) runs of the other streams only what an event was
// waited for, so that whoever forgot to wait reads what was there before; "first" runs all that the other streams can run before each
// piece of this one, so that whoever forgot to wait finds his memory overwritten; "now" runs everything at once. With
// GRADUS_EMULATION_DEAF=1 no stream waits for an event: a planted bug for the tests of what waits.
//
// A capture keeps what is put on its stream and runs none of it; its graph is that list, and a launch puts the list on a stream. What a
// capture cannot have ends it, as in the driver. What is not here: captures over several streams (waiting for an event of another stream
// is refused), graphs made by hand, changes of a graph's nodes.
#include "streams.h"
#include <deque>
#include <memory>
#include <mutex>
#include <stdlib.h>
#include <vector>

namespace {
struct Stream;
struct Mark { Stream* stream; bool done = false, captured = false; u64 time = 0; };
typedef std::shared_ptr<Mark> MarkRef;
struct Piece { Work work; MarkRef waits, marks; };
struct Stream { std::deque<Piece> queue; std::vector<Piece> captured; bool capturing = false, broken = false; };
typedef std::vector<Piece> Graph;
typedef std::shared_ptr<const Graph> GraphRef;
struct Event { MarkRef mark; };
enum Order { LATE, FIRST, NOW };

std::recursive_mutex turn;
std::vector<Stream*> streams;
u64 ticks;
int failure; // of work that ran; the next call that waits reports it
Order order = [] {
  const char* text = getenv("GRADUS_EMULATION_STREAMS");
  return !text || *text == 'l' ? LATE : *text == 'f' ? FIRST : NOW;
}();
const bool deaf = [] { const char* text = getenv("GRADUS_EMULATION_DEAF"); return text && *text == '1'; }();
const size_t MOST = 4096; // a queue that is full makes the host wait, as the driver's does

bool is_blocked(const Piece& p) { return p.waits && !p.waits->done; }
void reach(const MarkRef& mark);
void perform(Stream* s) {
  if (is_blocked(s->queue.front())) reach(MarkRef(s->queue.front().waits));
  Piece p = std::move(s->queue.front());
  s->queue.pop_front();
  const int result = p.work ? p.work() : OK;
  if (result && !failure) failure = result;
  if (p.marks) p.marks->done = true, p.marks->time = ++ticks;
}
void others(Stream* s) {
  for (bool any = true; any;) {
    any = false;
    for (Stream* t : streams)
      while (t != s && !t->queue.empty() && !is_blocked(t->queue.front())) perform(t), any = true;
  }
}
void advance(Stream* s) {
  if (order == FIRST) others(s);
  if (!s->queue.empty()) perform(s);
}
void reach(const MarkRef& mark) {
  while (!mark->done && !mark->stream->queue.empty()) advance(mark->stream);
}
void drain(Stream* s) { while (!s->queue.empty()) advance(s); }
int reported() { const int now = failure; failure = OK; return now; }
int add(Stream* s, Piece p) {
  if (!s) return INVALID; // the null stream, which gradus-cuda never uses
  if (s->capturing) {
    if (s->broken) return CAPTURE_INVALIDATED;
    s->captured.push_back(std::move(p));
    return OK;
  }
  s->queue.push_back(std::move(p));
  if (order == NOW || s->queue.size() > MOST) {
    drain(s);
    return order == NOW ? reported() : OK;
  }
  return OK;
}
typedef std::lock_guard<std::recursive_mutex> Turn;
} // namespace

// "late", "first" or "now", for all streams of the process.
extern "C" __attribute__((visibility("default"))) void gr_cpu_streams(const char* text) {
  Turn t(turn);
  drain_all();
  order = *text == 'l' ? LATE : *text == 'f' ? FIRST : NOW;
}
// How many pieces of work wait on all streams.
extern "C" __attribute__((visibility("default"))) u64 gr_cpu_waiting() {
  Turn t(turn);
  u64 n = 0;
  for (Stream* s : streams) n += s->queue.size();
  return n;
}
void drain_all() {
  Turn t(turn);
  for (Stream* s : streams) drain(s);
}
bool is_capturing(void* stream) { Turn t(turn); return stream && ((Stream*)stream)->capturing; }
int refuse(void* stream, int why) {
  Turn t(turn);
  ((Stream*)stream)->broken = true;
  return why;
}
int put(void* stream, Work work) { Turn t(turn); return add((Stream*)stream, Piece{std::move(work)}); }
int put_and_wait(void* stream, Work work) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  if (s && s->capturing) return refuse(s, CAPTURE_UNSUPPORTED);
  auto mark = std::make_shared<Mark>(Mark{s});
  const int added = add(s, Piece{std::move(work), nullptr, mark});
  if (added) return added;
  reach(mark);
  return reported();
}

API cuStreamCreate(void** out, u32) {
  Turn t(turn);
  auto* s = new Stream;
  streams.push_back(s);
  *out = s;
  return OK;
}
API cuStreamDestroy_v2(void* stream) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  drain(s);
  for (size_t i = 0; i < streams.size(); i++) if (streams[i] == s) streams.erase(streams.begin() + i--);
  delete s;
  return OK;
}
API cuStreamSynchronize(void* stream) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  if (s->capturing) return refuse(s, CAPTURE_UNSUPPORTED);
  drain(s);
  return reported();
}
API cuStreamWaitEvent(void* stream, void* event, u32) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  const MarkRef mark = ((Event*)event)->mark;
  if (!mark) return OK; // never recorded
  if (mark->captured && !(s->capturing && mark->stream == s)) return s->capturing ? refuse(s, CAPTURE_ISOLATION) : CAPTURE_ISOLATION;
  if (s->capturing) return mark->captured ? OK : refuse(s, CAPTURE_ISOLATION);
  return deaf ? OK : add(s, Piece{nullptr, mark});
}

API cuEventCreate(void** e, u32) { *e = new Event; return OK; }
API cuEventDestroy_v2(void* e) { Turn t(turn); delete (Event*)e; return OK; }
API cuEventRecord(void* event, void* stream) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  auto mark = std::make_shared<Mark>(Mark{s});
  mark->captured = s->capturing;
  ((Event*)event)->mark = mark;
  return s->capturing ? (s->broken ? (int)CAPTURE_INVALIDATED : (int)OK) : add(s, Piece{nullptr, nullptr, mark});
}
API cuEventQuery(void* event) {
  Turn t(turn);
  const MarkRef mark = ((Event*)event)->mark;
  if (!mark) return OK;
  return mark->captured ? CAPTURED_EVENT : mark->done ? OK : NOT_READY;
}
API cuEventSynchronize(void* event) {
  Turn t(turn);
  const MarkRef mark = ((Event*)event)->mark;
  if (!mark) return OK;
  if (mark->captured) return CAPTURED_EVENT;
  reach(mark);
  return reported();
}
API cuEventElapsedTime_v2(float* ms, void* from, void* to) {
  Turn t(turn);
  const MarkRef a = ((Event*)from)->mark, b = ((Event*)to)->mark;
  if (!a || !b) return INVALID;
  if (a->captured || b->captured) return CAPTURED_EVENT;
  if (!a->done || !b->done) return NOT_READY;
  *ms = (float)(b->time - a->time);
  return OK;
}
API cuEventElapsedTime(float* ms, void* a, void* b) { return cuEventElapsedTime_v2(ms, a, b); }

API cuStreamBeginCapture_v2(void* stream, int) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  if (!s) return CAPTURE_UNSUPPORTED;
  if (s->capturing) return ILLEGAL_STATE;
  s->capturing = true;
  s->broken = false;
  return OK;
}
API cuStreamIsCapturing(void* stream, int* status) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  *status = !s->capturing ? 0 : s->broken ? 2 : 1;
  return OK;
}
API cuStreamEndCapture(void* stream, void** out) {
  Turn t(turn);
  auto* s = (Stream*)stream;
  *out = nullptr;
  if (!s->capturing) return ILLEGAL_STATE;
  s->capturing = false;
  Graph graph;
  graph.swap(s->captured);
  if (s->broken) return CAPTURE_INVALIDATED;
  *out = new GraphRef(std::make_shared<const Graph>(std::move(graph)));
  return OK;
}
API cuGraphInstantiateWithFlags(void** out, void* graph, u64) {
  if (!graph) return INVALID;
  *out = new GraphRef(*(GraphRef*)graph);
  return OK;
}
API cuGraphDestroy(void* graph) { delete (GraphRef*)graph; return OK; }
API cuGraphExecDestroy(void* graph) { delete (GraphRef*)graph; return OK; } // what is on a stream keeps it
API cuGraphLaunch(void* graph, void* stream) {
  const GraphRef pieces = *(GraphRef*)graph;
  return put(stream, [pieces] {
    for (const Piece& p : *pieces)
      if (const int result = p.work ? p.work() : OK) return result;
    return (int)OK;
  });
}
