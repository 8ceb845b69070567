//! MPI, through the crate `mpi`: OpenMPI or MPICH, whichever is installed. For CPUs; GPUs have NCCL.
//!
//! A thread of its own initialises MPI and makes every call, one after the other, which any MPI supports; the ranks' programs hand it
//! work and go on, and so the exchange of a bucket overlaps with the backward. Start the program with `mpirun -n 4 program`; started
//! alone it is one rank.
//!
//! A rank that fails ends all: [`run`] has MPI end the other processes (`MPI_Abort`), which may be waiting for this one. A rank that
//! only leaves early would keep them waiting; they give up after [`TIMEOUT`].

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gradus_tensor::{DType, Device, Element, Error, Tensor};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Equivalence, Root as _};

use super::{Communicator, ReduceOp, Work};
use crate::error::{Result, invalid};

/// How long a rank waits for the others, as long as PyTorch's.
pub const TIMEOUT: Duration = Duration::from_mins(30);

/// Runs `f` on this rank, between MPI's initialisation and its end. Once in a process.
///
/// ```no_run
/// use gradus_train::distributed::{Communicator as _, mpi};
/// mpi::run(|ranks| {
///     println!("rank {} of {}", ranks.rank(), ranks.world_size());
///     Ok(())
/// })?;
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// When MPI cannot be initialised (it was already), or what `f` returned, if this is the only rank. With several ranks an error or a panic of
/// `f` is printed and ends all of them, with exit code 1.
pub fn run<R>(f: impl FnOnce(Arc<dyn Communicator>) -> Result<R>) -> Result<R> {
    run_with(TIMEOUT, f)
}

/// [`run`] with another patience than [`TIMEOUT`].
///
/// # Errors
/// As [`run`].
pub fn run_with<R>(
    timeout: Duration,
    f: impl FnOnce(Arc<dyn Communicator>) -> Result<R>,
) -> Result<R> {
    let (mut thread, ranks) = MpiThread::start(timeout)?;
    let result = f(Arc::new(ranks));
    match &result {
        Ok(_) => thread.end(),
        Err(error) => thread.fail(&error.to_string()),
    }
    result
}

/// What the thread is asked to do, with the world.
type Job = Box<dyn FnOnce(&SimpleCommunicator) + Send>;

/// The thread that MPI lives in.
struct MpiThread {
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
    rank: usize,
    world_size: usize,
}

impl MpiThread {
    fn start(timeout: Duration) -> Result<(Self, Mpi)> {
        let (jobs, todo) = channel::<Job>();
        let (started, answer) = channel();
        let thread = std::thread::Builder::new()
            .name("gradus-mpi".into())
            .spawn(move || {
                let Some((universe, _)) = mpi::initialize_with_threading(mpi::Threading::Funneled)
                else {
                    return; // `started` is dropped, which is an answer
                };
                let world = universe.world();
                let _ = started.send((world.rank(), world.size()));
                serve(&world, &todo);
                // The universe ends here, and MPI with it.
            })
            .map_err(|e| Error::io("mpi", "cannot start a thread", e))?;
        let (rank, size) = answer
            .recv()
            .map_err(|_| Error::unsupported("mpi", "MPI is initialised already, or cannot be"))?;
        let (rank, world_size) = (rank as usize, size as usize);
        let ranks = Mpi {
            jobs: Mutex::new(jobs.clone()),
            rank,
            world_size,
            timeout,
        };
        let thread = Self {
            jobs,
            thread: Some(thread),
            rank,
            world_size,
        };
        Ok((thread, ranks))
    }

    /// Ends MPI on this rank. Other handles of the communicator get errors from here on.
    fn end(&mut self) {
        let _ = self.jobs.send(Box::new(|_| {
            // The loop that runs jobs ends when one asks it to.
            END.set(true);
        }));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Ends all ranks, if there are others.
    fn fail(&mut self, why: &str) {
        if self.world_size == 1 {
            return self.end();
        }
        let line = format!("rank {}: {why}\n", self.rank);
        eprint!("{line}"); // in one piece, so that other ranks' lines do not come in between
        if self.jobs.send(Box::new(|world| world.abort(1))).is_ok() {
            // The thread may be in an exchange that the others never come to, and then does not see this.
            std::thread::sleep(Duration::from_secs(2));
        }
        std::process::exit(1);
    }
}

impl Drop for MpiThread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("panicked");
        } else if self.thread.is_some() {
            self.end();
        }
    }
}

thread_local! {
    static END: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Does what is asked until told to end.
fn serve(world: &SimpleCommunicator, todo: &Receiver<Job>) {
    while let Ok(job) = todo.recv() {
        job(world);
        if END.get() {
            return;
        }
    }
}

/// The ranks that `mpirun` started. From [`run`].
struct Mpi {
    jobs: Mutex<Sender<Job>>,
    rank: usize,
    world_size: usize,
    timeout: Duration,
}

impl Mpi {
    /// Has the thread do something, and gives what waits for the result.
    fn ask<R: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce(&SimpleCommunicator) -> Result<R> + Send + 'static,
    ) -> Result<impl FnOnce() -> Result<R> + Send + 'static> {
        let (reply, answer) = channel();
        let job: Job = Box::new(move |world| {
            let _ = reply.send(job(world)); // nobody waits for it where another error came first
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let over = move || {
            Error::io(
                "mpi",
                format!("{what}: MPI has ended on this rank"),
                ended(),
            )
        };
        jobs.send(job).map_err(|_| over())?;
        let (rank, timeout) = (self.rank, self.timeout);
        Ok(move || match answer.recv_timeout(timeout) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(over()),
            Err(RecvTimeoutError::Timeout) => Err(invalid(format!(
                "mpi: rank {rank} waited {} s for the others in {what}: one of them has left, or does something else",
                timeout.as_secs_f64()
            ))),
        })
    }
}

fn ended() -> std::io::Error {
    std::io::ErrorKind::BrokenPipe.into()
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn all_reduce_async(&self, buffer: Tensor, op: ReduceOp) -> Result<Work> {
        on_cpu(&buffer)?;
        if op == ReduceOp::Mean && !buffer.dtype().is_float() {
            let text = format!("a mean of {}: only floats have one", buffer.dtype());
            return Err(Error::dtype("all_reduce", text));
        }
        let ranks = self.world_size;
        let wait = self.ask("all_reduce", move |world| {
            let sum = on_the_wire(buffer, |buffer| sum(world, buffer))?;
            match op {
                ReduceOp::Sum => Ok(sum),
                ReduceOp::Mean => sum.div_scalar_(ranks as f64),
            }
        })?;
        Ok(Work::new(wait))
    }

    fn broadcast(&self, buffer: Tensor, root: usize) -> Result<Tensor> {
        on_cpu(&buffer)?;
        if root >= self.world_size {
            let text = format!("broadcast from rank {root} of {}", self.world_size);
            return Err(invalid(text));
        }
        self.ask("broadcast", move |world| {
            on_the_wire(buffer, |buffer| broadcast(world, buffer, root))
        })?()
    }

    fn barrier(&self) -> Result<()> {
        self.ask("barrier", |world| {
            world.barrier();
            Ok(())
        })?()
    }
}

fn on_cpu(buffer: &Tensor) -> Result<()> {
    if buffer.device() == Device::Cpu {
        return Ok(());
    }
    let text = format!(
        "MPI exchanges memory of the CPU, and this is on {}; GPUs have NCCL (feature nccl)",
        buffer.device()
    );
    Err(Error::new(gradus_tensor::ErrorKind::Device, "mpi", text))
}

/// `exchange` in a dtype that MPI has: 16-bit floats travel as f32, which holds them exactly, and truth as bytes.
fn on_the_wire(buffer: Tensor, exchange: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let dtype = buffer.dtype();
    let wire = match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        DType::Bool => DType::U8,
        own => own,
    };
    if wire == dtype {
        return exchange(buffer);
    }
    exchange(buffer.to_dtype(wire)?)?.to_dtype(dtype)
}

/// The sum over ranks.
fn sum(world: &SimpleCommunicator, buffer: Tensor) -> Result<Tensor> {
    fn typed<T: Element + Equivalence>(
        world: &SimpleCommunicator,
        buffer: Tensor,
    ) -> Result<Tensor> {
        let own = buffer.contiguous()?;
        let mut sum = Tensor::zeros(own.shape(), &own)?;
        let from = own.as_slice::<T>().unwrap_or(&[]);
        sum.with_mut_slice::<T, _>(|to| {
            world.all_reduce_into(from, to, SystemOperation::sum());
        })?;
        Ok(sum)
    }
    match buffer.dtype() {
        DType::F32 => typed::<f32>(world, buffer),
        DType::F64 => typed::<f64>(world, buffer),
        DType::I64 => typed::<i64>(world, buffer),
        DType::I32 => typed::<i32>(world, buffer),
        DType::U8 => typed::<u8>(world, buffer),
        other => Err(Error::dtype("mpi", format!("{other} cannot be exchanged"))),
    }
}

fn broadcast(world: &SimpleCommunicator, buffer: Tensor, root: usize) -> Result<Tensor> {
    fn typed<T: Element + Equivalence>(
        world: &SimpleCommunicator,
        mut buffer: Tensor,
        root: usize,
    ) -> Result<Tensor> {
        let root = world.process_at_rank(root as i32);
        buffer.with_mut_slice::<T, _>(|buffer| root.broadcast_into(buffer))?;
        Ok(buffer)
    }
    match buffer.dtype() {
        DType::F32 => typed::<f32>(world, buffer, root),
        DType::F64 => typed::<f64>(world, buffer, root),
        DType::I64 => typed::<i64>(world, buffer, root),
        DType::I32 => typed::<i32>(world, buffer, root),
        DType::U8 => typed::<u8>(world, buffer, root),
        other => Err(Error::dtype("mpi", format!("{other} cannot be exchanged"))),
    }
}
