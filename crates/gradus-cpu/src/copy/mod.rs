//! Copying: strided to contiguous (with blocked transposes), strided to strided, and filling.
//!
//! A transpose read or written element by element misses the cache once per element; here it is done in tiles whose
//! lines, of source and destination, stay in L1.

mod turn;

use crate::parallel::{GRAIN, SharedMut, for_each, for_each_chunk, for_each_chunk_mut};
use crate::view::MAX_RANK;
use crate::walk::Walk;
use crate::{Element, Error, Result, View, ViewMut, error::check_len};

/// Elements on a side of a tile of a transpose.
const TILE: usize = 32;

/// `y[i] = value`.
#[inline(never)]
pub fn fill<T: Element>(y: &mut [T], value: T) {
    for_each_chunk_mut(y, 4 * GRAIN, |_, part| part.fill(value));
}

/// Sets every element of a strided view.
#[inline(never)]
pub fn fill_into<T: Element>(y: ViewMut<'_, T>, value: T) -> Result<()> {
    let shape = y.shape();
    copy_into(View::scalar(&value, shape)?, y)
}

/// Copies a view to `y` in row-major order.
///
/// # Errors
/// If `y` does not have as many elements as `x`.
#[inline(never)]
pub fn copy<T: Element>(x: View<'_, T>, y: &mut [T]) -> Result<()> {
    check_len("copy", "the output", y.len(), x.len())?;
    let walk = x.walk();
    if walk.len() == 0 {
        return Ok(());
    }
    let (data, origin) = x.origin();
    if walk.is_scalar(0) {
        fill(y, data[origin as usize]);
    } else if walk.is_contiguous(0) {
        let data = &data[origin as usize..][..y.len()];
        for_each_chunk_mut(y, 4 * GRAIN, |i, part| {
            part.copy_from_slice(&data[i * 4 * GRAIN..][..part.len()]);
        });
    } else if let Some(dim) = transposed_dim(&walk) {
        if walk.strides(0)[dim] == 1 && turn::fits::<T>() {
            turn::over(data, origin, &walk, dim, y);
        } else {
            transpose(data, origin, &walk, dim, y);
        }
    } else {
        for_each_chunk_mut(y, GRAIN, |i, part| x.stage(&walk, i * GRAIN, part));
    }
    Ok(())
}

/// The dimension to be read first, if it is not the innermost one: that with the smallest stride.
pub(crate) fn transposed_dim(walk: &Walk<1>) -> Option<usize> {
    let (strides, last) = (walk.strides(0), walk.shape().len() - 1);
    if strides[last].unsigned_abs() <= 1 {
        return None;
    }
    (0..last)
        .filter(|&d| strides[d] != 0 && strides[d].unsigned_abs() < strides[last].unsigned_abs())
        .min_by_key(|&d| strides[d].unsigned_abs())
}

/// Copies with tiles over the planes of dimension `dim` and the innermost one.
fn transpose<T: Element>(data: &[T], origin: isize, walk: &Walk<1>, dim: usize, y: &mut [T]) {
    let (shape, strides) = (walk.shape(), walk.strides(0));
    let last = shape.len() - 1;
    let (rows, cols) = (shape[dim], shape[last]);
    let (row_step, col_step) = (strides[dim], strides[last]);
    let mut y_strides = [1usize; MAX_RANK];
    for d in (0..last).rev() {
        y_strides[d] = y_strides[d + 1] * shape[d + 1];
    }
    let planes = y.len() / (rows * cols);
    // One item is a band of rows of one plane; a task is a few items.
    let band = (GRAIN / cols).max(1).next_multiple_of(TILE).min(rows);
    let bands = rows.div_ceil(band);
    let per_task = (GRAIN / (band * cols)).max(1);
    let y = SharedMut::new(y);
    for_each_chunk(planes * bands, per_task, |items| {
        for item in items {
            let (mut plane, first) = (item / bands, item % bands * band);
            let (mut from, mut to) = (origin, 0usize);
            for d in (0..last).rev().filter(|&d| d != dim) {
                let i = plane % shape[d];
                plane /= shape[d];
                from += i as isize * strides[d];
                to += i * y_strides[d];
            }
            for i0 in (first..(first + band).min(rows)).step_by(TILE) {
                for j0 in (0..cols).step_by(TILE) {
                    for i in i0..(i0 + TILE).min(first + band).min(rows) {
                        let start = to + i * y_strides[dim] + j0;
                        // SAFETY: rows of different items, and of different (i, j0), do not overlap.
                        let out = unsafe { y.slice(start..start + TILE.min(cols - j0)) };
                        let at = from + i as isize * row_step + j0 as isize * col_step;
                        crate::walk::gather(data, at, col_step, out);
                    }
                }
            }
        }
    });
}

/// Dimensions by stride, the largest first. (Not generic: a sort is a lot of code.)
fn order_of_memory(dims: &mut [usize], strides: &[isize; MAX_RANK]) {
    dims.sort_by_key(|&d| std::cmp::Reverse(strides[d].unsigned_abs()));
}

/// Copies a view to a strided one of the same shape. Where elements of `y` coincide, the last write in row-major
/// order wins.
///
/// # Errors
/// If the shapes differ.
#[inline(never)]
pub fn copy_into<T: Element>(x: View<'_, T>, y: ViewMut<'_, T>) -> Result<()> {
    if x.shape() != y.shape() {
        return Err(Error::shape(
            "copy_into",
            format!("shapes {:?} and {:?} differ", x.shape(), y.shape()),
        ));
    }
    if x.is_empty() {
        return Ok(());
    }
    let injective = y.is_injective();
    let (mut shape, mut sx, mut sy) = ([1usize; MAX_RANK], [0isize; MAX_RANK], [0isize; MAX_RANK]);
    let rank = x.rank();
    let (x_strides, y_strides) = (x.stride_array(), y.stride_array());
    let mut order: [usize; MAX_RANK] = std::array::from_fn(|d| d);
    if injective {
        // Any order of writing is the same: take that of the destination's memory.
        order_of_memory(&mut order[..rank], &y_strides);
    }
    for (to, &d) in order[..rank].iter().enumerate() {
        (shape[to], sx[to], sy[to]) = (x.shape()[d], x_strides[d], y_strides[d]);
    }
    let shape = &shape[..rank];
    let (source, x0) = x.origin();
    let (target, y0) = y.into_origin();
    if Walk::new(shape, [sy]).is_contiguous(0) {
        let len = x.len();
        let x = View::new(source, x0 as usize, shape, &sx[..rank])?;
        return copy(x, &mut target[y0 as usize..][..len]);
    }
    let walk = Walk::new(shape, [sx, sy]);
    let (step_x, step_y) = (walk.inner(0).1, walk.inner(1).1);
    let target_len = target.len();
    let target = SharedMut::new(target);
    let body = |range: std::ops::Range<usize>| {
        walk.for_each_run(range, |_, [ax, ay], n| {
            let (ax, ay) = (x0 + ax, y0 + ay);
            let (ex, ey) = (
                ax + (n as isize - 1) * step_x,
                ay + (n as isize - 1) * step_y,
            );
            assert!(ax.min(ex) >= 0 && ax.max(ex) < source.len() as isize);
            assert!(ay.min(ey) >= 0 && ay.max(ey) < target_len as isize);
            for i in 0..n as isize {
                // SAFETY: inside both slices by the asserts. Either no two positions share an element of the target
                // (`injective`), or one thread makes all the writes.
                unsafe {
                    let value = *source.get_unchecked((ax + i * step_x) as usize);
                    *target.as_mut_ptr().offset(ay + i * step_y) = value;
                }
            }
        });
    };
    if injective {
        for_each_chunk(walk.len(), GRAIN, body);
    } else {
        body(0..walk.len());
    }
    Ok(())
}

/// Concatenates contiguous pieces, given as `(outer, inner)` matrices with one number of rows, along their columns:
/// row `i` of `y` is row `i` of each piece, one after the other.
///
/// # Errors
/// If a piece is not `outer · inner` long or `y` is not as long as all of them.
#[inline(never)]
pub fn cat<T: Element>(pieces: &[(&[T], usize)], outer: usize, y: &mut [T]) -> Result<()> {
    let row = pieces
        .iter()
        .try_fold(0usize, |n, p| n.checked_add(p.1))
        .unwrap_or(usize::MAX);
    for (data, inner) in pieces {
        check_len("cat", "a piece", data.len(), outer.saturating_mul(*inner))?;
    }
    check_len("cat", "the output", y.len(), outer.saturating_mul(row))?;
    if row == 0 {
        return Ok(());
    }
    let y = SharedMut::new(y);
    for (p, &(data, inner)) in pieces.iter().enumerate() {
        let start: usize = pieces[..p].iter().map(|p| p.1).sum();
        if inner == 0 {
            continue;
        }
        let rows = (GRAIN / inner).max(1);
        for_each(outer.div_ceil(rows), &|task| {
            for i in task * rows..outer.min((task + 1) * rows) {
                // SAFETY: rows, and columns of different pieces, do not overlap.
                let out = unsafe { y.slice(i * row + start..i * row + start + inner) };
                out.copy_from_slice(&data[i * inner..][..inner]);
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_equal_the_naive_walk() {
        let data: Vec<i32> = (0..100_000).collect();
        for (shape, strides, offset) in [
            (vec![100_000], vec![1isize], 0usize),
            (vec![300, 200], vec![1, 300], 7),
            (vec![1040, 80], vec![1, 1041], 0),
            (vec![2, 77, 208], vec![3, 1, 290], 9),
            (vec![95, 65], vec![1, -97], 90_000),
            (vec![3, 30_000], vec![1, 3], 0),
            (vec![200, 300], vec![300, 1], 7),
            (vec![5, 33, 65], vec![2145, 1, 33], 0),
            (vec![7, 3, 50, 40], vec![6000, 1, 120, 3], 0),
            (vec![7, 50, 40, 3], vec![6000, 40, 1, 2000], 0),
            (vec![100, 100], vec![-2, 300], 500),
            (vec![100, 30], vec![-1, -300], 9_000),
            (vec![1000, 50], vec![0, 1], 0),
            (vec![50, 1000], vec![1, 0], 0),
            (vec![100_000], vec![0], 3),
            (vec![30_000], vec![3], 1),
            (vec![], vec![], 9),
            (vec![0, 4], vec![4, 1], 0),
        ] {
            let x = View::new(&data, offset, &shape, &strides).unwrap();
            let want: Vec<i32> = x.iter().collect();
            let mut got = vec![-1; want.len()];
            copy(x, &mut got).unwrap();
            assert_eq!(got, want, "{shape:?} {strides:?}");
            assert!(copy(x, &mut vec![0; want.len() + 1]).is_err());
        }
    }

    #[test]
    fn large_transposes_equal_the_naive_walk() {
        // Large enough to be stored past the cache, in a place that begins on a line and in one that does not.
        let (rows, cols) = (1030usize, 1040usize);
        let data: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
        let shape = [rows, cols];
        let strides = [1, rows as isize];
        let x = View::new(&data, 0, &shape, &strides).unwrap();
        let want: Vec<f32> = x.iter().collect();
        let mut room = vec![0.0f32; want.len() + 32];
        let aligned = room.as_ptr().align_offset(64);
        for skip in [aligned, aligned + 1] {
            let y = &mut room[skip..skip + want.len()];
            copy(x, y).unwrap();
            assert!(y == want.as_slice());
        }
    }

    #[test]
    fn copying_into_strided_targets() {
        let data: Vec<i32> = (0..6000).collect();
        for strides in [[20isize, 1], [1, 300], [2, 600], [-20, 1], [0, 1]] {
            let shape = [300usize, 20];
            let x = View::contiguous(&data, &shape).unwrap();
            let mut got = vec![-1; 20_000];
            let mut want = got.clone();
            copy_into(x, ViewMut::new(&mut got, 7_000, &shape, &strides).unwrap()).unwrap();
            for i in 0..300isize {
                for j in 0..20isize {
                    want[(7_000 + i * strides[0] + j * strides[1]) as usize] =
                        data[(i * 20 + j) as usize];
                }
            }
            assert_eq!(got, want, "{strides:?}");
        }
        let mut y = [0u8; 4];
        fill_into(ViewMut::new(&mut y, 1, &[2], &[2]).unwrap(), 9).unwrap();
        assert_eq!(y, [0, 9, 0, 9]);
    }

    #[test]
    fn concatenation() {
        let (a, b) = ([1, 2, 3, 4], [5, 6]);
        let mut y = [0; 6];
        cat(&[(&a[..], 2), (&[][..], 0), (&b[..], 1)], 2, &mut y).unwrap();
        assert_eq!(y, [1, 2, 5, 3, 4, 6]);
        assert!(cat(&[(&a[..], 3)], 2, &mut y).is_err());
    }
}
