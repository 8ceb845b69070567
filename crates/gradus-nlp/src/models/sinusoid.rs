//! Places as sines and cosines of falling frequency (Vaswani et al. 2017, arXiv:1706.03762, section 3.5), in the two orders there are.

use gradus_tensor::{Result, Tensor};

/// The angle of a place at a pair of columns.
fn angle(place: usize, pair: usize, width: usize) -> f64 {
    place as f64 / 10000_f64.powf((2 * pair) as f64 / width as f64)
}

fn filled(places: usize, width: usize, at: impl Fn(usize, usize) -> f64) -> Result<Tensor> {
    let mut table = Tensor::zeros([places, width], gradus_tensor::DType::F32)?;
    table.with_mut_slice::<f32, _>(|x| {
        for (place, row) in x.chunks_exact_mut(width.max(1)).enumerate() {
            for (column, x) in row.iter_mut().enumerate() {
                *x = at(place, column) as f32;
            }
        }
    })?;
    Ok(table)
}

/// Sine, cosine, sine, cosine, …: (places, width).
pub(super) fn interleaved(places: usize, width: usize) -> Result<Tensor> {
    filled(places, width, |place, column| {
        let angle = angle(place, column / 2, width);
        if column % 2 == 0 {
            angle.sin()
        } else {
            angle.cos()
        }
    })
}

/// All sines, then all cosines: (places, width).
pub(super) fn halves(places: usize, width: usize) -> Result<Tensor> {
    let sines = width.div_ceil(2);
    filled(places, width, |place, column| {
        if column < sines {
            angle(place, column, width).sin()
        } else {
            angle(place, column - sines, width).cos()
        }
    })
}
