//! Training on several ranks: [`reducer`] in a loop of one's own, [`trainer`] in the trainer's; the ranks are threads ([`ranks`]), and
//! in [`mpi`] processes that `mpirun` starts.

mod mpi;
mod ranks;
mod reducer;
mod trainer;
