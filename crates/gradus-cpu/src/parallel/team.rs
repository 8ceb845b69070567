//! The threads of the kernels: a team that whoever has work joins, and that stays awake for a moment after it.
//!
//! What it is: fork and join, as OpenMP has it. The caller works too; a helper that has just finished watches for the next piece
//! of work for some ten microseconds before it sleeps, so that the next kernel of a step finds it awake. Each member begins
//! with a stretch of the tasks of its own, the same one every time (its cache knows those numbers), then helps the others.
//! What it is not: a scheduler. One piece of work at a time; who finds the team busy, or is in it already, works alone, which
//! changes no result, since tasks do not depend on who runs them.
//!
//! Why not rayon: handing work from outside to its pool puts the caller to sleep and wakes two threads, some 10 to 20 µs each
//! time; a step of a small network has dozens of such places and lasts a millisecond.

use std::any::Any;
use std::cell::Cell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

/// How often a helper looks before it sleeps: 50 to 100 µs.
const LOOKS: usize = 1500;
/// How often the caller looks for helpers to finish before it lets others run.
const PATIENCE: usize = 10_000;
/// Members with a stretch of their own; more share.
const STRETCHES: usize = 16;

thread_local! {
    /// How many threads the work of this thread may use; 0 is as many as there are.
    static LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// As many as [`super::set_threads`] said, else the environment, else the cores.
static DEFAULT: OnceLock<usize> = OnceLock::new();

fn default_threads() -> usize {
    *DEFAULT.get_or_init(|| {
        let said = ["GRADUS_NUM_THREADS", "RAYON_NUM_THREADS"]
            .iter()
            .find_map(|name| std::env::var(name).ok()?.parse().ok())
            .filter(|&n: &usize| n > 0);
        said.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    })
}

/// Sets the default, if nothing has asked for it yet.
pub(super) fn set_default(threads: usize) -> Result<(), String> {
    let threads = threads.max(1);
    DEFAULT.set(threads).or_else(|_| match default_threads() {
        now if now == threads => Ok(()),
        now => Err(format!("work has begun with {now} threads")),
    })
}

/// How many threads the work of this thread may use.
pub(super) fn threads() -> usize {
    match LIMIT.get() {
        0 => default_threads(),
        n => n,
    }
}

/// Runs `f`, whose work then uses at most so many threads.
pub(super) fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(threads.max(1)));
    f()
}

/// A counter on a cache line of its own.
#[repr(align(64))]
struct Counter(AtomicUsize);

/// A piece of work.
struct Job<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    tasks: usize,
    /// Stretches, at most [`STRETCHES`].
    members: usize,
    /// The next task of each stretch.
    next: [Counter; STRETCHES],
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Job<'_> {
    /// The first task of a stretch.
    fn start(&self, stretch: usize) -> usize {
        self.tasks * stretch / self.members
    }

    /// Runs tasks until none is left: those of one's own stretch, then of the others.
    fn work(&self, member: usize) {
        for i in 0..self.members {
            let stretch = (member + i) % self.members;
            let end = self.start(stretch + 1);
            loop {
                let task = self.next[stretch].0.fetch_add(1, Ordering::Relaxed);
                if task >= end {
                    break;
                }
                (self.body)(task);
            }
        }
    }

    /// The same, keeping a panic for the caller.
    fn help(&self, member: usize) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(member))) {
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

/// A job as helpers hold it: valid while it stands in [`Team::open`] or a helper is counted in [`Team::busy`].
#[derive(Clone, Copy)]
struct JobPtr(*const Job<'static>);

// SAFETY: what it points to is shared between threads only through `Sync` parts, and outlives its use (see `Team::run`).
unsafe impl Send for JobPtr {}

/// The job that may be joined, and how many more may join.
struct Open {
    job: Option<JobPtr>,
    places: usize,
}

struct Helper {
    thread: Thread,
    sleeps: Arc<AtomicBool>,
}

struct Team {
    /// Held by who leads; the helpers there are.
    turn: Mutex<Vec<Helper>>,
    open: Mutex<Open>,
    /// Counts jobs: what awake helpers watch.
    jobs: AtomicUsize,
    /// Helpers inside the job.
    busy: AtomicUsize,
}

static TEAM: Team = Team {
    turn: Mutex::new(Vec::new()),
    open: Mutex::new(Open {
        job: None,
        places: 0,
    }),
    jobs: AtomicUsize::new(0),
    busy: AtomicUsize::new(0),
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body(0) … body(tasks - 1)`, in any order, on the threads there are.
pub(super) fn run(tasks: usize, body: &(dyn Fn(usize) + Sync)) {
    let members = threads().min(tasks);
    let turn = match TEAM.turn.try_lock() {
        _ if members < 2 => None,
        Ok(helpers) => Some(helpers),
        // Somebody's work panicked; the helpers are none the worse for it.
        Err(TryLockError::Poisoned(helpers)) => Some(helpers.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    match turn {
        Some(mut helpers) => TEAM.run(&mut helpers, members, tasks, body),
        None => (0..tasks).for_each(body),
    }
}

impl Team {
    fn run(
        &'static self,
        helpers: &mut Vec<Helper>,
        members: usize,
        tasks: usize,
        body: &(dyn Fn(usize) + Sync),
    ) {
        while helpers.len() + 1 < members {
            match self.hire(helpers.len() + 1) {
                Some(helper) => helpers.push(helper),
                None => break, // the system gives no more threads: those there are do it
            }
        }
        let stretches = members.min(STRETCHES);
        let mut job = Job {
            body,
            tasks,
            members: stretches,
            next: [const { Counter(AtomicUsize::new(0)) }; STRETCHES],
            panic: Mutex::new(None),
        };
        for stretch in 1..stretches {
            let start = job.start(stretch);
            *job.next[stretch].0.get_mut() = start;
        }
        let job = job;
        {
            let mut open = lock(&self.open);
            // The lifetime is cut off here, and `Closed` below keeps the promise in its place.
            open.job = Some(JobPtr(std::ptr::from_ref(&job).cast()));
            open.places = members - 1;
        }
        // Whatever happens from here on, the job outlives those who joined it.
        let closed = Closed(self);
        self.jobs.fetch_add(1, Ordering::SeqCst);
        for helper in helpers.iter().take(members - 1) {
            if helper.sleeps.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        job.work(0);
        drop(closed);
        if let Some(panic) = lock(&job.panic).take() {
            resume_unwind(panic);
        }
    }

    /// A new helper, number `member`.
    fn hire(&'static self, member: usize) -> Option<Helper> {
        let sleeps = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&sleeps);
        let seen = self.jobs.load(Ordering::SeqCst);
        let thread = std::thread::Builder::new().name(format!("gradus-{member}"));
        let thread = thread.spawn(move || self.serve(member, &flag, seen)).ok()?;
        Some(Helper {
            thread: thread.thread().clone(),
            sleeps,
        })
    }

    /// A helper's life.
    fn serve(&self, member: usize, sleeps: &AtomicBool, mut seen: usize) {
        loop {
            let mut looks = 0;
            while self.jobs.load(Ordering::Acquire) == seen {
                looks += 1;
                if looks < LOOKS {
                    spin_loop();
                    continue;
                }
                // First say so, then look once more: the leader first counts the job, then asks who sleeps.
                sleeps.store(true, Ordering::SeqCst);
                if self.jobs.load(Ordering::SeqCst) == seen {
                    std::thread::park();
                }
                sleeps.store(false, Ordering::SeqCst);
            }
            seen = self.jobs.load(Ordering::Acquire);
            let job = {
                let mut open = lock(&self.open);
                match open.job {
                    Some(job) if open.places > 0 => {
                        open.places -= 1;
                        self.busy.fetch_add(1, Ordering::Relaxed);
                        job
                    }
                    _ => continue,
                }
            };
            // SAFETY: the job was open while this helper was counted, so its leader waits for it (`Closed`).
            unsafe { &*job.0 }.help(member);
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Ends a job when dropped: nobody joins any more, and those who did have left.
struct Closed<'a>(&'a Team);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        lock(&self.0.open).job = None;
        let mut looks = 0;
        while self.0.busy.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < PATIENCE {
                spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whoever_helps() {
        for threads in [1, 2, 3, 8, 40] {
            for tasks in [0, 1, 2, 7, 100, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                with_threads(threads, || {
                    run(tasks, &|i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    });
                });
                assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn work_inside_work_and_beside_it_is_done() {
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        with_threads(3, || {
                            run(8, &|_| {
                                run(4, &|_| {
                                    total.fetch_add(1, Ordering::Relaxed);
                                });
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 200 * 32);
    }

    #[test]
    fn a_panic_comes_back_to_the_caller_and_the_team_goes_on() {
        let panicked = catch_unwind(|| {
            with_threads(2, || run(100, &|i| assert!(i != 97, "task 97")));
        });
        assert!(panicked.is_err());
        // Another thread takes part again, if the machine lets it: each task waits a little for it.
        let members = Mutex::new(std::collections::HashSet::new());
        for _ in 0..200 {
            with_threads(2, || {
                run(8, &|_| {
                    lock(&members).insert(std::thread::current().id());
                    std::thread::sleep(std::time::Duration::from_micros(200));
                });
            });
            if lock(&members).len() > 1 {
                return;
            }
        }
        panic!("nobody helped");
    }

    #[test]
    fn limits_end_with_their_closure() {
        let before = threads();
        assert_eq!(with_threads(5, threads), 5);
        assert_eq!(threads(), before);
        assert!(set_default(before).is_ok());
        assert!(set_default(before + 1).is_err());
    }
}
