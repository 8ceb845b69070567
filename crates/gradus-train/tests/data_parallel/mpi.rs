//! Two processes over MPI, started by `mpirun`: this very test program runs itself as the ranks.
//! Skipped, and says so, where there is no `mpirun` or the feature `mpi` is off.

#[cfg(not(feature = "mpi"))]
#[test]
fn two_processes() {
    match std::process::Command::new("mpirun")
        .arg("--version")
        .output()
    {
        Err(_) => println!("skipped: no mpirun"),
        Ok(_) => println!("skipped: built without the feature mpi"),
    }
}

#[cfg(feature = "mpi")]
mod processes {
    use std::process::{Command, Output};
    use std::sync::Arc;
    use std::time::Duration;

    use gradus_tensor::{DType, Error, Result, Tensor};
    use gradus_train::distributed::{Communicator, ReduceOp, mpi};

    use crate::ranks::ranks;
    use crate::reducer::{sgd, small, train};

    /// What the ranks are to do.
    const CASE: &str = "GRADUS_TEST_MPI_CASE";

    /// Has two ranks do `case`; `None` where there is no `mpirun`.
    fn mpirun(case: &str) -> Option<Output> {
        let started = Command::new("mpirun")
            .args(["-n", "2"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "mpi::processes::a_rank",
                "--ignored",
                "--nocapture",
            ])
            .env(CASE, case)
            .env("GRADUS_NUM_THREADS", "1")
            // OpenMPI counts cores, and does not like the administrator of a container.
            .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "true")
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .output();
        match started {
            Ok(output) => Some(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("skipped: no mpirun");
                None
            }
            Err(error) => panic!("mpirun: {error}"),
        }
    }

    /// What a rank of the test program does.
    #[test]
    #[ignore = "one of the ranks that the other tests here start with mpirun"]
    fn a_rank() {
        let case = std::env::var(CASE).expect("started by mpirun, from another test");
        let patience = Duration::from_secs(if case == "leave" { 1 } else { 60 });
        let done = mpi::run_with(patience, |ranks| match case.as_str() {
            "train" => learn(&ranks),
            "dtypes" => exchange_all(&*ranks),
            "fail" if ranks.rank() == 1 => Err(Error::value("", "its disk is full")),
            "panic" if ranks.rank() == 1 => panic!("as the test wants it"),
            "leave" if ranks.rank() == 1 => Ok(()),
            _ => ranks.barrier(), // which the other never comes to
        });
        done.unwrap();
    }

    fn learn(ranks: &Arc<dyn Communicator>) -> Result<()> {
        let seed = 1 + ranks.rank() as u64;
        let weights = train(ranks.clone(), seed, &mut sgd(), small())?;
        println!("\nrank {}: {}", ranks.rank(), bits(&weights));
        Ok(())
    }

    /// One number that changes if any bit of any weight does.
    fn bits(weights: &[f32]) -> u64 {
        let mix = |h: u64, w: &f32| (h ^ u64::from(w.to_bits())).wrapping_mul(0x100_0000_01b3);
        weights.iter().fold(0xcbf2_9ce4_8422_2325, mix)
    }

    /// Sums and broadcasts of every dtype, several under way at once.
    fn exchange_all(ranks: &dyn Communicator) -> Result<()> {
        let rank = ranks.rank() as f64;
        let all = [
            DType::F32,
            DType::F64,
            DType::F16,
            DType::BF16,
            DType::I64,
            DType::I32,
            DType::U8,
        ];
        let begin =
            |dtype| ranks.all_reduce_async(Tensor::full(5, 1.0 + rank, dtype)?, ReduceOp::Sum);
        let works = all.map(begin);
        for (work, dtype) in works.into_iter().zip(all) {
            let sum = work?.wait()?;
            assert_eq!(sum.dtype(), dtype);
            assert_eq!(sum.to_dtype(DType::F64)?.to_vec::<f64>()?, [3.0; 5]);
        }
        for dtype in all.into_iter().chain([DType::Bool]) {
            let own = Tensor::full(3, f64::from(rank == 1.0), dtype)?;
            let got = ranks.broadcast(own, 1)?;
            assert_eq!(
                (got.dtype(), got.to_dtype(DType::F64)?.to_vec::<f64>()?),
                (dtype, vec![1.0; 3])
            );
        }
        let mean = ranks.all_reduce(Tensor::full(2, rank, DType::F32)?, ReduceOp::Mean)?;
        assert_eq!(mean.to_vec::<f32>()?, [0.5; 2]);
        let whole = ranks.all_reduce(Tensor::full(2, 1.0, DType::I64)?, ReduceOp::Mean);
        assert!(
            whole
                .unwrap_err()
                .to_string()
                .contains("only floats have one")
        );
        assert!(
            ranks
                .broadcast(mean, 2)
                .unwrap_err()
                .to_string()
                .contains("rank 2 of 2")
        );
        ranks.barrier()
    }

    fn text(output: &Output) -> String {
        let (out, err) = (&output.stdout, &output.stderr);
        format!(
            "{}{}",
            String::from_utf8_lossy(out),
            String::from_utf8_lossy(err)
        )
    }

    #[test]
    fn two_processes_learn_what_two_threads_do() -> Result<()> {
        let Some(output) = mpirun("train") else {
            return Ok(());
        };
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        let threads = ranks(2, |r| {
            train(r.clone(), 1 + r.rank() as u64, &mut sgd(), small())
        });
        for (rank, weights) in threads.into_iter().enumerate() {
            let line = format!("rank {rank}: {}", bits(&weights?));
            assert!(text.contains(&line), "not {line}, but\n{text}");
        }
        Ok(())
    }

    #[test]
    fn every_dtype_is_exchanged() {
        if let Some(output) = mpirun("dtypes") {
            assert!(output.status.success(), "{}", text(&output));
        }
    }

    #[test]
    fn a_rank_that_fails_ends_all() {
        for (case, said) in [
            ("fail", "rank 1: its disk is full"),
            ("panic", "rank 1: panicked"),
            (
                "leave",
                "rank 0: mpi: rank 0 waited 1 s for the others in barrier",
            ),
        ] {
            let Some(output) = mpirun(case) else {
                return;
            };
            let text = text(&output);
            assert!(
                !output.status.success() && text.contains(said),
                "{case}: {text}"
            );
            assert!(!text.contains("waited 60 s"), "{case}: {text}"); // but was told
        }
    }
}
