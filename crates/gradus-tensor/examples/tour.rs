//! A tour of tensors: creation, views, arithmetic, indexing, products, memory. `cargo run -p gradus-tensor --example tour`

use gradus_tensor::{DType, Result, Tensor, pool_stats, s};

fn main() -> Result<()> {
    // Creation, and views that copy nothing.
    let x = Tensor::arange(0, 12, 1, DType::F32)?.reshape([3, 4])?; // (3, 4)
    println!("x =\n{x}\nits transpose has strides {:?}", x.t()?.strides());
    println!(
        "every second column, backwards:\n{}",
        x.index(s![.., ..;-2])?
    );

    // Broadcasting, promotion, reductions.
    let mean = x.mean(0, true)?; // (1, 4)
    let std = x.std(0, 1.0, true)?;
    println!("standardised:\n{}", x.sub(&mean)?.div_(&std)?);
    let counts = Tensor::from_slice(&[1i64, 2, 3], [3, 1])?;
    println!("i64 + f32 is {}", (&counts + &x).dtype());

    // Choosing by masks and by indices.
    println!("above 6: {}", x.index(&x.gt_scalar(6)?)?);
    let (values, indices) = x.topk(2, -1, true)?;
    println!("two largest of each row:\n{values}\nat\n{indices}");

    // Products, in any dtype.
    let w = Tensor::eye_rect(4, 2, DType::BF16)?;
    println!("product in bf16:\n{}", x.to_dtype(DType::BF16)?.matmul(&w)?);

    // Memory is reused: this loop asks the system for nothing after its first round.
    let mut y = Tensor::zeros([256, 256], DType::F32)?;
    for _ in 0..100 {
        y = y.add_scalar_(1)?.sin_()?; // in place: nobody else holds `y`
    }
    println!("sum {:.3}, {:?}", y.sum(.., false)?.to_f64()?, pool_stats());

    // Mistakes are errors that say what to do.
    println!("error: {}", x.matmul(&x).unwrap_err());
    Ok(())
}
