//! Ranks that are threads of one process: for tests of what stands on a communicator. An exchange is a deposit of each rank's buffer
//! under the exchange's number; who waits for it waits until all have deposited, and sums them in the order of ranks.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use gradus_tensor::{Error, Result, Tensor};
use gradus_train::distributed::{Communicator, ReduceOp, Work};

/// Longer than any test takes: a deadlock fails, and does not hang.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Exchange {
    /// What each rank calls and gives.
    deposits: Vec<(usize, String, Tensor)>,
    taken: usize,
}

#[derive(Default)]
struct State {
    exchanges: HashMap<u64, Exchange>,
    left: Vec<usize>,
}

struct Group {
    state: Mutex<State>,
    changed: Condvar,
    world_size: usize,
}

/// One rank.
pub struct Threads {
    group: Arc<Group>,
    rank: usize,
    next: Mutex<u64>,
    log: Mutex<Vec<String>>,
}

/// Runs `f` on so many ranks; what each returned, a panic being an error.
pub fn ranks<R: Send>(
    world_size: usize,
    f: impl Fn(Arc<Threads>) -> Result<R> + Sync,
) -> Vec<Result<R>> {
    let group = Arc::new(Group {
        state: Mutex::default(),
        changed: Condvar::new(),
        world_size,
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..world_size)
            .map(|rank| {
                let group = Arc::clone(&group);
                let f = &f;
                scope.spawn(move || {
                    f(Arc::new(Threads {
                        group,
                        rank,
                        next: Mutex::new(0),
                        log: Mutex::default(),
                    }))
                })
            })
            .collect();
        let panicked = |_| Err(Error::value("", "panicked"));
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(panicked))
            .collect()
    })
}

impl Threads {
    /// What this rank has begun so far, and what a test noted in between.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn note(&self, line: impl Into<String>) {
        self.log.lock().unwrap().push(line.into());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.group.state.lock().unwrap()
    }

    /// Deposits a buffer; the number of the exchange.
    fn deposit(&self, what: &str, buffer: Tensor) -> u64 {
        let mut next = self.next.lock().unwrap();
        let number = *next;
        *next += 1;
        self.note(format!("{what} {}", buffer.shape()));
        let what = format!("{what} {}{}", buffer.dtype(), buffer.shape());
        let mut state = self.state();
        let exchange = state.exchanges.entry(number).or_default();
        exchange.deposits.push((self.rank, what, buffer));
        self.group.changed.notify_all();
        number
    }
}

/// Waits until all ranks have deposited, and gives the buffers in the order of ranks.
fn collect(group: &Group, rank: usize, number: u64) -> Result<Vec<Tensor>> {
    let mut state = group.state.lock().unwrap();
    loop {
        let State { exchanges, left } = &mut *state;
        let exchange = exchanges.entry(number).or_default();
        let deposits = &mut exchange.deposits;
        deposits.sort_by_key(|(rank, ..)| *rank);
        if let [(a, first, _), rest @ ..] = &deposits[..]
            && let Some((b, other, _)) = rest.iter().find(|(_, what, _)| what != first)
        {
            let text = format!("rank {a} calls {first}, rank {b} {other}");
            return Err(Error::value("exchange", text));
        }
        if deposits.len() == group.world_size {
            let all = deposits.iter().map(|(.., buffer)| buffer.clone()).collect();
            exchange.taken += 1;
            if exchange.taken == group.world_size {
                exchanges.remove(&number);
            }
            return Ok(all);
        }
        let came = |rank: &usize| deposits.iter().any(|(r, ..)| r == rank);
        if let Some(gone) = left.iter().find(|rank| !came(rank)) {
            return Err(Error::value("exchange", format!("rank {gone} has left")));
        }
        let (next, waited) = group.changed.wait_timeout(state, PATIENCE).unwrap();
        assert!(!waited.timed_out(), "rank {rank} waits for ever");
        state = next;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Ok(mut state) = self.group.state.lock() {
            state.left.push(self.rank);
        }
        self.group.changed.notify_all();
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.group.world_size
    }

    fn all_reduce_async(&self, buffer: Tensor, op: ReduceOp) -> Result<Work> {
        let number = self.deposit(&format!("all_reduce {op:?}"), buffer);
        let (group, rank) = (Arc::clone(&self.group), self.rank);
        Ok(Work::new(move || {
            let mut all = collect(&group, rank, number)?.into_iter();
            let mut sum = all.next().unwrap().copy()?;
            for other in all {
                sum = sum.add_(&other)?;
            }
            match op {
                ReduceOp::Sum => Ok(sum),
                ReduceOp::Mean => sum.div_scalar(group.world_size as f64),
            }
        }))
    }

    fn broadcast(&self, buffer: Tensor, root: usize) -> Result<Tensor> {
        let number = self.deposit(&format!("broadcast from {root}"), buffer);
        collect(&self.group, self.rank, number)?[root].copy()
    }

    fn barrier(&self) -> Result<()> {
        let number = self.deposit("barrier", Tensor::from_slice(&[0u8], 1)?);
        collect(&self.group, self.rank, number).map(drop)
    }
}
