#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace fdiv_ops {

int threadCount() {
  static const int count = [] {
    const char* text = std::getenv("FDIV_THREADS");
    const int wanted = text ? std::atoi(text) : 0;
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return wanted > 0 ? wanted : cores > 0 ? cores : 1;
  }();
  return count;
}

namespace {

struct Job {
  const std::function<void(int64_t)>* task = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  /** Workers that are inside the job; it ends once they have left. */
  std::atomic<int> inside{0};
};

/** Threads that live as long as the process and sleep between jobs. */
class Pool {
 public:
  static Pool& instance() {
    // Never destroyed: a worker may still sleep in it while the process ends.
    static Pool* pool = new Pool;
    return *pool;
  }

  void run(int64_t count, const std::function<void(int64_t)>& task) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock() || threadCount() == 1) {
      // Another thread's job has the workers; waiting for them would be slower than doing without.
      for (int64_t i = 0; i < count; i++) task(i);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_.task = &task;
      job_.count = count;
      job_.next.store(0, std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(task, count);
    {
      // From here on late workers find no job.
      std::lock_guard<std::mutex> lock(mutex_);
      job_.task = nullptr;
    }
    // Each of those inside has one task left at most: sooner ended than a sleep and a waking take.
    for (int spin = 0; job_.inside.load(std::memory_order_acquire) > 0; spin++)
      if (spin < 10000)
        pause();
      else
        std::this_thread::yield();
  }

  void stayAwake(int by) { awake_.fetch_add(by, std::memory_order_relaxed); }

 private:
  Pool() {
    for (int i = 1; i < threadCount(); i++) std::thread([this] { live(); }).detach();
  }

  void work(const std::function<void(int64_t)>& task, int64_t count) {
    for (int64_t i; (i = job_.next.fetch_add(1, std::memory_order_relaxed)) < count;) task(i);
  }

  void live() {
    uint64_t seen = 0;
    for (;;) {
      // Longer would take the core from TensorFlow's own threads, which work between our operations.
      for (int spin = 0; (spin < 100 || awake_.load(std::memory_order_relaxed) > 0) &&
                         generation_.load(std::memory_order_acquire) == seen;
           spin++)
        pause();
      // Taken while the lock says that they belong together: the job may be closed while its last tasks run.
      const std::function<void(int64_t)>* task;
      int64_t count;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        seen = generation_.load(std::memory_order_relaxed);
        task = job_.task;
        count = job_.count;
        if (!task) continue;
        job_.inside.fetch_add(1, std::memory_order_relaxed);
      }
      work(*task, count);
      job_.inside.fetch_sub(1, std::memory_order_release);
    }
  }

  static void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> awake_{0};
  Job job_;
};

}  // namespace

Awake::Awake() { Pool::instance().stayAwake(1); }
Awake::~Awake() { Pool::instance().stayAwake(-1); }

void forEachTask(int64_t count, const std::function<void(int64_t)>& task) {
  if (count <= 0) return;
  if (count == 1) return task(0);
  Pool::instance().run(count, task);
}

}  // namespace fdiv_ops
