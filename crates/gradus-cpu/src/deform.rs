//! Deformable convolution's columns: windows whose elements are read where an offset says, and the gradients.
//!
//! What it is: `x` (B, C, H, W), `offset` (B, G·2·K, OH, OW) with the moves down and across of each of the K = KH·KW elements,
//! an optional `mask` (B, G·K, OH, OW) of factors, to columns (B, C·K, OH·OW); the channels divide into G offset groups. As
//! torchvision's `deform_conv2d` (Dai et al. 2017; Zhu et al. 2018 for the mask), without its matrix product, which is an
//! ordinary one. Between the elements values are bilinear, outside they are 0. Places are worked out in f64.
//! Every gradient is added up in a fixed order: the input's by planes, the others' element by element.

use gradus_simd::Float;

use crate::conv::contiguous;
use crate::error::check_len;
use crate::fold::FoldParams;
use crate::parallel::{self, SharedMut};
use crate::{Error, Result, View};

/// Sizes of a call.
struct Geometry {
    batch: usize,
    channels: usize,
    sizes: [usize; 2],
    windows: [usize; 2],
    params: FoldParams,
    groups: usize,
}

impl Geometry {
    fn new(
        op: &'static str,
        params: &FoldParams,
        x_shape: &[usize],
        offset: &[usize],
        mask: Option<&[usize]>,
    ) -> Result<Self> {
        let fail = |why: String| {
            let message = format!("input {x_shape:?}, offset {offset:?}, mask {mask:?}: {why}");
            Err(Error::shape(op, message))
        };
        let &[batch, channels, height, width] = x_shape else {
            return fail("the input is (B, C, H, W)".into());
        };
        crate::numel(op, x_shape)?;
        let windows = params.windows(op, [height, width])?;
        let Some(taps) = params.kernel[0]
            .checked_mul(params.kernel[1])
            .filter(|&k| k < usize::MAX / 2)
        else {
            return fail("the kernel overflows".into());
        };
        let groups = match *offset {
            [b, moves, oh, ow]
                if b == batch
                    && [oh, ow] == windows
                    && moves > 0
                    && moves.is_multiple_of(2 * taps) =>
            {
                moves / (2 * taps)
            }
            _ => {
                return fail(format!(
                    "the offset is ({batch}, groups·{}, {}, {})",
                    2 * taps,
                    windows[0],
                    windows[1]
                ));
            }
        };
        if !channels.is_multiple_of(groups) {
            return fail(format!(
                "{channels} channels do not divide into {groups} groups of offsets"
            ));
        }
        if mask.is_some_and(|m| *m != [batch, groups * taps, windows[0], windows[1]]) {
            let [oh, ow] = windows;
            return fail(format!(
                "the mask is ({batch}, {}, {oh}, {ow})",
                groups * taps
            ));
        }
        crate::numel(op, &[groups, 2, taps, windows[0], windows[1]])?;
        crate::numel(op, &[batch, channels, taps, windows[0], windows[1]])?;
        Ok(Self {
            batch,
            channels,
            sizes: [height, width],
            windows,
            params: *params,
            groups,
        })
    }

    fn taps(&self) -> usize {
        self.params.kernel[0] * self.params.kernel[1]
    }

    fn blocks(&self) -> usize {
        self.windows[0] * self.windows[1]
    }

    fn plane(&self) -> usize {
        self.sizes[0] * self.sizes[1]
    }

    fn columns(&self) -> usize {
        self.batch * self.channels * self.taps() * self.blocks()
    }

    /// The four neighbours of where element `tap` of window `block` is read, given the offsets of its (sample, group).
    #[inline]
    fn corners<T: Float>(&self, offset: &[T], tap: usize, block: usize) -> Corners {
        let (p, blocks) = (&self.params, self.blocks());
        let place = |d: usize, window: usize, tap: usize, moved: T| {
            (window * p.stride[d] + tap * p.dilation[d]) as f64 - p.padding[d] as f64
                + moved.to_f64()
        };
        let y = place(
            0,
            block / self.windows[1],
            tap / p.kernel[1],
            offset[2 * tap * blocks + block],
        );
        let x = place(
            1,
            block % self.windows[1],
            tap % p.kernel[1],
            offset[(2 * tap + 1) * blocks + block],
        );
        let mut corners = Corners::default();
        let [h, w] = self.sizes.map(|n| n as f64);
        // Also false for NaN.
        if !(y > -1.0 && y < h && x > -1.0 && x < w) {
            return corners;
        }
        let (top, left) = (y.floor(), x.floor());
        let (ty, tx) = (y - top, x - left);
        for (dy, wy, sy) in [(0.0, 1.0 - ty, -1.0), (1.0, ty, 1.0)] {
            for (dx, wx, sx) in [(0.0, 1.0 - tx, -1.0), (1.0, tx, 1.0)] {
                let (r, c) = (top + dy, left + dx);
                if r >= 0.0 && r < h && c >= 0.0 && c < w {
                    let i = corners.len;
                    corners.at[i] = r as usize * self.sizes[1] + c as usize;
                    corners.weight[i] = wy * wx;
                    corners.slope[i] = [sy * wx, wy * sx];
                    corners.len += 1;
                }
            }
        }
        corners
    }
}

/// The neighbours of a point that lie inside: where in the plane, their weights, and the weights' derivatives (down, across).
#[derive(Default)]
struct Corners {
    at: [usize; 4],
    weight: [f64; 4],
    slope: [[f64; 2]; 4],
    len: usize,
}

impl Corners {
    #[inline]
    fn value<T: Float>(&self, x: &[T]) -> f64 {
        (0..self.len)
            .map(|i| self.weight[i] * x[self.at[i]].to_f64())
            .sum()
    }
}

/// The columns of `x`: `y` (B, C·K, OH·OW) row-major. The windows are `params`.
///
/// # Errors
/// If the shapes do not fit together, no window fits, or `y` has another size.
#[inline(never)]
pub fn deform_columns<T: Float>(
    x: View<'_, T>,
    offset: View<'_, T>,
    mask: Option<View<'_, T>>,
    params: &FoldParams,
    y: &mut [T],
) -> Result<()> {
    let op = "deform_conv2d";
    let g = Geometry::new(
        op,
        params,
        x.shape(),
        offset.shape(),
        mask.as_ref().map(View::shape),
    )?;
    check_len(op, "the columns", y.len(), g.columns())?;
    if y.is_empty() {
        return Ok(());
    }
    let (x, offset) = (contiguous(&x), contiguous(&offset));
    let mask = mask.as_ref().map(contiguous);
    let (taps, blocks, plane, per) = (g.taps(), g.blocks(), g.plane(), g.channels / g.groups);
    let y = SharedMut::new(y);
    // A task is one element of the kernel in one group: its places serve all the group's channels.
    parallel::for_each(g.batch * g.groups * taps, &|task| {
        let (group, tap) = (task / taps, task % taps);
        let offset = &offset[group * 2 * taps * blocks..][..2 * taps * blocks];
        let mask = mask.as_ref().map(|m| &m[task * blocks..][..blocks]);
        for block in 0..blocks {
            let corners = g.corners(offset, tap, block);
            let factor = mask.map_or(1.0, |m| m[block].to_f64());
            for channel in group * per..(group + 1) * per {
                let i = (channel * taps + tap) * blocks + block;
                let value = factor * corners.value(&x[channel * plane..][..plane]);
                // SAFETY: the rows of columns of different tasks differ.
                let y = unsafe { y.slice(i..i + 1) };
                y[0] = T::from_f64(value);
            }
        }
    });
    Ok(())
}

/// The gradient of [`deform_columns`]'s input: `dx`, row-major in `x_shape`, from that of the columns.
///
/// # Errors
/// As [`deform_columns`].
#[inline(never)]
pub fn deform_columns_backward_input<T: Float>(
    dy: View<'_, T>,
    offset: View<'_, T>,
    mask: Option<View<'_, T>>,
    params: &FoldParams,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "deform_conv2d_backward_input";
    let g = Geometry::new(
        op,
        params,
        x_shape,
        offset.shape(),
        mask.as_ref().map(View::shape),
    )?;
    check_len(op, "the columns' gradient", dy.len(), g.columns())?;
    check_len(
        op,
        "the gradient",
        dx.len(),
        g.batch * g.channels * g.plane(),
    )?;
    if dx.is_empty() {
        return Ok(());
    }
    let (dy, offset) = (contiguous(&dy), contiguous(&offset));
    let mask = mask.as_ref().map(contiguous);
    let (taps, blocks, plane, per) = (g.taps(), g.blocks(), g.plane(), g.channels / g.groups);
    // A task is the channels of one group.
    parallel::for_each_chunk_mut(dx, per * plane, |group, dx| {
        dx.fill(T::ZERO);
        let offset = &offset[group * 2 * taps * blocks..][..2 * taps * blocks];
        for tap in 0..taps {
            for block in 0..blocks {
                let corners = g.corners(offset, tap, block);
                let factor = mask
                    .as_ref()
                    .map_or(1.0, |m| m[(group * taps + tap) * blocks + block].to_f64());
                for (c, dx) in dx.chunks_exact_mut(plane).enumerate() {
                    let dy =
                        dy[((group * per + c) * taps + tap) * blocks + block].to_f64() * factor;
                    for i in 0..corners.len {
                        dx[corners.at[i]] += T::from_f64(corners.weight[i] * dy);
                    }
                }
            }
        }
    });
    Ok(())
}

/// The gradients of [`deform_columns`]'s offset and mask, row-major in their shapes, from that of the columns.
///
/// # Errors
/// As [`deform_columns`]; if `dmask` is not there exactly when `mask` is.
#[inline(never)]
pub fn deform_columns_backward_places<T: Float>(
    dy: View<'_, T>,
    x: View<'_, T>,
    offset: View<'_, T>,
    mask: Option<View<'_, T>>,
    params: &FoldParams,
    doffset: &mut [T],
    dmask: Option<&mut [T]>,
) -> Result<()> {
    let op = "deform_conv2d_backward_places";
    let g = Geometry::new(
        op,
        params,
        x.shape(),
        offset.shape(),
        mask.as_ref().map(View::shape),
    )?;
    check_len(op, "the columns' gradient", dy.len(), g.columns())?;
    check_len(op, "the offset's gradient", doffset.len(), offset.len())?;
    let masks = mask.as_ref().map_or(0, View::len);
    check_len(
        op,
        "the mask's gradient",
        dmask.as_ref().map_or(0, |m| m.len()),
        masks,
    )?;
    if doffset.is_empty() {
        return Ok(());
    }
    let (dy, x, offset) = (contiguous(&dy), contiguous(&x), contiguous(&offset));
    let mask = mask.as_ref().map(contiguous);
    let (taps, blocks, plane, per) = (g.taps(), g.blocks(), g.plane(), g.channels / g.groups);
    let dmask = dmask.map(SharedMut::new);
    // A task is one element of the kernel in one group: its moves down and across lie side by side.
    parallel::for_each_chunk_mut(doffset, 2 * blocks, |task, doffset| {
        let (group, tap) = (task / taps, task % taps);
        let offset = &offset[group * 2 * taps * blocks..][..2 * taps * blocks];
        let (down, across) = doffset.split_at_mut(blocks);
        // SAFETY: every task has its own part of the mask.
        let mut dmask = dmask
            .as_ref()
            .map(|m| unsafe { m.slice(task * blocks..(task + 1) * blocks) });
        for block in 0..blocks {
            let corners = g.corners(offset, tap, block);
            let factor = mask
                .as_ref()
                .map_or(1.0, |m| m[task * blocks + block].to_f64());
            let (mut moved, mut masked) = ([0.0; 2], 0.0);
            for channel in group * per..(group + 1) * per {
                let x = &x[channel * plane..][..plane];
                let dy = dy[(channel * taps + tap) * blocks + block].to_f64();
                masked += dy * corners.value(x);
                for i in 0..corners.len {
                    let value = dy * x[corners.at[i]].to_f64();
                    moved[0] += corners.slope[i][0] * value;
                    moved[1] += corners.slope[i][1] * value;
                }
            }
            down[block] = T::from_f64(factor * moved[0]);
            across[block] = T::from_f64(factor * moved[1]);
            if let Some(dmask) = &mut dmask {
                dmask[block] = T::from_f64(masked);
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::unfold;
    use crate::gemm::tests::{assert_close, numbers};

    const PARAMS: FoldParams = FoldParams {
        kernel: [2, 3],
        dilation: [1, 2],
        padding: [1, 2],
        stride: [2, 1],
    };

    #[test]
    fn without_moves_it_is_unfold() {
        let shape = [2, 4, 5, 6];
        let [oh, ow] = PARAMS.windows("test", [5, 6]).unwrap();
        let x: Vec<f64> = numbers(shape.iter().product(), 1);
        let xv = View::contiguous(&x, &shape).unwrap();
        let (mut want, mut y) = (
            vec![0.0; 2 * 4 * 6 * oh * ow],
            vec![f64::NAN; 2 * 4 * 6 * oh * ow],
        );
        unfold(xv, &PARAMS, &mut want).unwrap();
        let offset = vec![0.0; 2 * 2 * 12 * oh * ow];
        let places = [2, 24, oh, ow];
        deform_columns(
            xv,
            View::contiguous(&offset, &places).unwrap(),
            None,
            &PARAMS,
            &mut y,
        )
        .unwrap();
        assert_close(&y, &want, 1, "columns");
    }

    #[test]
    fn gradients_are_differences() {
        let shape = [1, 2, 4, 4];
        let [oh, ow] = PARAMS.windows("test", [4, 4]).unwrap();
        let (os, ms) = ([1, 24, oh, ow], [1, 12, oh, ow]);
        let values: [Vec<f64>; 3] = [
            numbers(32, 1),
            numbers::<f64>(24 * oh * ow, 2)
                .iter()
                .map(|v| v * 1.7)
                .collect(),
            numbers(12 * oh * ow, 3),
        ];
        let dy: Vec<f64> = numbers(12 * oh * ow, 4);
        let dys = [1, 12, oh * ow];
        let dyv = View::contiguous(&dy, &dys).unwrap();
        let loss = |v: &[Vec<f64>; 3]| {
            let mut y = vec![0.0; dy.len()];
            let view = |i: usize, s| View::contiguous(&v[i], s).unwrap();
            deform_columns(
                view(0, &shape),
                view(1, &os),
                Some(view(2, &ms)),
                &PARAMS,
                &mut y,
            )
            .unwrap();
            y.iter().zip(&dy).map(|(a, b)| a * b).sum::<f64>()
        };
        let mut grads = values.clone();
        let [dx, doffset, dmask] = &mut grads;
        let view = |i: usize, s| View::contiguous(&values[i], s).unwrap();
        let (x, offset, mask) = (view(0, &shape), view(1, &os), Some(view(2, &ms)));
        deform_columns_backward_input(dyv, offset, mask, &PARAMS, &shape, dx).unwrap();
        deform_columns_backward_places(dyv, x, offset, mask, &PARAMS, doffset, Some(dmask))
            .unwrap();
        for k in 0..3 {
            for i in 0..values[k].len() {
                let at = |d: f64| {
                    let mut moved = values.clone();
                    moved[k][i] += d;
                    loss(&moved)
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!(
                    (grads[k][i] - numeric).abs() < 1e-6,
                    "{k} {i}: {} {numeric}",
                    grads[k][i]
                );
            }
        }
    }

    #[test]
    fn odd_places_are_nothing_and_odd_shapes_an_error() {
        let x = [1.0f32; 4];
        let xv = View::contiguous(&x, &[1, 1, 2, 2]).unwrap();
        let params = FoldParams::new([1, 1]);
        let offset = [f32::NAN, f32::INFINITY, f32::MAX, 0.5, 0.0, 0.0, 0.0, 0.5];
        let mut y = [9.0; 4];
        deform_columns(
            xv,
            View::contiguous(&offset, &[1, 2, 2, 2]).unwrap(),
            None,
            &params,
            &mut y,
        )
        .unwrap();
        assert_eq!(y[..3], [0.0; 3]);
        for shape in [[1, 3, 2, 2], [1, 0, 2, 2], [1, 4, 2, 2], [1, 2, 1, 2]] {
            let offset = vec![0.0; shape.iter().product()];
            let offset = View::contiguous(&offset, &shape).unwrap();
            assert!(
                deform_columns(xv, offset, None, &params, &mut y).is_err(),
                "{shape:?}"
            );
        }
    }
}
