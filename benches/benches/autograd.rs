//! The cost of an operation beyond its arithmetic: tiny operands, forward and backward.
//!
//! `micro/add16_fwd_bwd`: two 16x16 leaves added, summed and differentiated; the others likewise.

use criterion::{Criterion, criterion_group, criterion_main};
use gradus_autograd::Var;
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};

fn small(criterion: &mut Criterion) -> Result<()> {
    let mut rng = Rng::new(1);
    let mut leaf = || Var::leaf(Tensor::randn([16, 16], DType::F32, &mut rng)?);
    let (a, b) = (leaf()?, leaf()?);
    let ops: [(&str, &dyn Fn() -> Result<Var>); 3] = [
        ("add16_fwd_bwd", &|| a.add(&b)),
        ("matmul16_fwd_bwd", &|| a.matmul(&b)),
        ("tanh16_fwd_bwd", &|| a.tanh()),
    ];
    for (name, op) in ops {
        let step = || op()?.sum(.., false)?.backward_once();
        step()?;
        criterion.bench_function(&format!("micro/{name}"), |bench| {
            bench.iter(|| step().expect("it worked above"));
        });
    }
    Ok(())
}

fn autograd(criterion: &mut Criterion) {
    small(criterion).expect("small operations run");
}

criterion_group!(benches, autograd);
criterion_main!(benches);
