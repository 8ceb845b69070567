//! Rows of a table by index, and their gradient: the sum of rows into a table by index.

use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::{Element, Error, Result, error::check_len};

/// Checks a table's and the rows' lengths and every index.
fn check(
    op: &'static str,
    table: usize,
    width: usize,
    rows: usize,
    indices: &[i64],
    out: usize,
) -> Result<()> {
    check_len(op, "the table", table, rows.saturating_mul(width))?;
    check_len(op, "the rows", out, indices.len().saturating_mul(width))?;
    match indices.iter().find(|&&i| i < 0 || i as u64 >= rows as u64) {
        Some(&index) => Err(Error::Index {
            op,
            index,
            size: rows,
        }),
        None => Ok(()),
    }
}

/// y (n, width): row `i` is row `indices[i]` of the table (rows, width).
///
/// # Errors
/// If an index is not in `0..rows` or the lengths do not fit.
///
/// ```
/// use gradus_cpu::embedding::gather_rows;
/// let table = [1, 2, 3, 4, 5, 6]; // (3, 2)
/// let mut y = [0; 4];
/// gather_rows(&table, 3, 2, &[2, 0], &mut y)?;
/// assert_eq!(y, [5, 6, 1, 2]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn gather_rows<T: Element>(
    table: &[T],
    rows: usize,
    width: usize,
    indices: &[i64],
    y: &mut [T],
) -> Result<()> {
    check("embedding", table.len(), width, rows, indices, y.len())?;
    if width == 0 {
        return Ok(());
    }
    let y = SharedMut::new(y);
    for_each_chunk(indices.len(), (GRAIN / width).max(1), |range| {
        for i in range {
            // SAFETY: rows do not overlap.
            let out = unsafe { y.slice(i * width..(i + 1) * width) };
            out.copy_from_slice(&table[indices[i] as usize * width..][..width]);
        }
    });
    Ok(())
}

/// table (rows, width): row `indices[i]` += row `i` of x (n, width).
///
/// Rows that meet in one place are added in order (in `f32` for half precision, rounded once), so the result is the same
/// for any number of threads.
///
/// # Errors
/// If an index is not in `0..rows` or the lengths do not fit.
#[inline(never)]
pub fn scatter_add_rows<T: Element>(
    x: &[T],
    indices: &[i64],
    rows: usize,
    width: usize,
    table: &mut [T],
) -> Result<()> {
    check(
        "embedding_backward",
        table.len(),
        width,
        rows,
        indices,
        x.len(),
    )?;
    if width == 0 || indices.is_empty() {
        return Ok(());
    }
    // (row, place), sorted: those of one row are neighbours, in order.
    let mut order: Vec<(i64, usize)> = indices
        .iter()
        .enumerate()
        .map(|(i, &row)| (row, i))
        .collect();
    order.sort_unstable();
    let starts: Vec<usize> = (0..order.len())
        .filter(|&i| i == 0 || order[i].0 != order[i - 1].0)
        .collect();
    let table = SharedMut::new(table);
    let per_task = (GRAIN * starts.len() / (order.len() * width)).max(1);
    for_each_chunk(starts.len(), per_task, |range| {
        let mut sum = vec![<T::Acc as Element>::ZERO; width];
        for run in range {
            let end = starts.get(run + 1).copied().unwrap_or(order.len());
            let row = order[starts[run]].0 as usize;
            // SAFETY: each run has a row of its own.
            let out = unsafe { table.slice(row * width..(row + 1) * width) };
            crate::cast::cast_slice(out, &mut sum);
            for &(_, place) in &order[starts[run]..end] {
                for (s, &x) in sum.iter_mut().zip(&x[place * width..][..width]) {
                    *s = crate::reduce::Accumulator::combine(
                        crate::reduce::FoldOp::Sum,
                        *s,
                        x.cast(),
                    );
                }
            }
            crate::cast::cast_slice(&sum, out);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn gradient_of_a_lookup() {
        let indices = [3i64, 0, 3, 1, 3];
        let x: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut table = vec![1.0f32; 8];
        scatter_add_rows(&x, &indices, 4, 2, &mut table).unwrap();
        assert_eq!(table, [3.0, 4.0, 7.0, 8.0, 1.0, 1.0, 13.0, 16.0]);
        let mut table = [bf16::ZERO; 1];
        scatter_add_rows(&[bf16::ONE; 1000], &[0; 1000], 1, 1, &mut table).unwrap();
        assert_eq!(table[0].to_f32(), 1000.0); // in bf16 it would have stopped at 256
        assert!(scatter_add_rows(&x, &[4; 5], 4, 2, &mut [0.0; 8]).is_err());
        assert!(gather_rows(&x, 5, 2, &[-1], &mut [0.0; 2]).is_err());
        assert!(gather_rows(&x, 5, usize::MAX, &[1], &mut [0.0; 2]).is_err());
    }
}
