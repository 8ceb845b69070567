//! Turning, shifting and slanting: each output pixel is looked up where a matrix says it comes from, as Pillow's `Geometry.c` does it.
//!
//! Nearest pixels are found in numbers of 16 binary places, values between pixels in f64 and cut to bytes; outside is `fill`.

use gradus_train::Result;

use super::Interpolation;
use crate::image::Image;

/// An affine map about a centre, in the words of torchvision's `affine`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warp {
    /// Degrees, clockwise.
    pub angle: f64,
    /// Pixels to the right and down.
    pub translate: [f64; 2],
    /// The zoom.
    pub scale: f64,
    /// Degrees that vertical and horizontal lines are slanted by.
    pub shear: [f64; 2],
    /// What stays in place (before the shift), in pixels from the left and the top; the image's middle if `None`.
    pub center: Option<[f64; 2]>,
}

impl Default for Warp {
    /// Nothing changes.
    fn default() -> Self {
        Self {
            angle: 0.0,
            translate: [0.0; 2],
            scale: 1.0,
            shear: [0.0; 2],
            center: None,
        }
    }
}

impl Warp {
    /// From places in the output to places in the input: x = m0 x' + m1 y' + m2, y = m3 x' + m4 y' + m5.
    fn inverse(&self, height: usize, width: usize) -> [f64; 6] {
        let [cx, cy] = self
            .center
            .unwrap_or([width as f64 * 0.5, height as f64 * 0.5]);
        let [tx, ty] = self.translate;
        let rot = self.angle.to_radians();
        let [sx, sy] = self.shear.map(f64::to_radians);
        // Turn times slant along y times slant along x, then inverted and divided by the zoom.
        let a = (rot - sy).cos() / sy.cos();
        let b = -(rot - sy).cos() * sx.tan() / sy.cos() - rot.sin();
        let c = (rot - sy).sin() / sy.cos();
        let d = -(rot - sy).sin() * sx.tan() / sy.cos() + rot.cos();
        let mut m = [d, -b, 0.0, -c, a, 0.0].map(|v| v / self.scale);
        m[2] += m[0] * (-cx - tx) + m[1] * (-cy - ty);
        m[5] += m[3] * (-cx - tx) + m[4] * (-cy - ty);
        m[2] += cx;
        m[5] += cy;
        m
    }
}

/// The image warped; its size stays. `fill` (0 to 1) comes in from outside.
///
/// # Errors
/// None but those of memory.
pub fn affine(image: &Image, warp: &Warp, how: Interpolation, fill: f32) -> Result<Image> {
    transform(
        image,
        warp.inverse(image.height(), image.width()),
        how,
        fill,
    )
}

/// The image turned counter-clockwise about its middle; its size stays. `fill` (0 to 1) comes in from outside.
///
/// ```
/// use gradus_vision::{Image, transforms::functional::{Interpolation, rotate}};
/// let image = Image::from_bytes(1, 2, 2, vec![1, 2, 3, 4])?;
/// let turned = rotate(&image, 90.0, Interpolation::Nearest, 0.0)?;
/// assert_eq!(turned.bytes(), Some(&[2, 4, 1, 3][..]));
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// None but those of memory.
pub fn rotate(image: &Image, degrees: f64, how: Interpolation, fill: f32) -> Result<Image> {
    let (h, w) = (image.height(), image.width());
    let angle = degrees.rem_euclid(360.0);
    if angle == 0.0 {
        return Ok(image.clone());
    } else if angle == 180.0 {
        return Ok(image.rearranged(h, w, |y, x| (h - 1 - y, w - 1 - x)));
    } else if angle == 90.0 && h == w {
        return Ok(image.rearranged(h, w, |y, x| (x, w - 1 - y)));
    } else if angle == 270.0 && h == w {
        return Ok(image.rearranged(h, w, |y, x| (h - 1 - x, y)));
    }
    let round = |v: f64| (v * 1e15).round() / 1e15;
    let (sin, cos) = (-angle.to_radians()).sin_cos();
    let (sin, cos) = (round(sin), round(cos));
    let (cx, cy) = (w as f64 / 2.0, h as f64 / 2.0);
    let m2 = cos * -cx + sin * -cy + cx;
    let m5 = -sin * -cx + cos * -cy + cy;
    transform(image, [cos, sin, m2, -sin, cos, m5], how, fill)
}

/// Looks every pixel up where the matrix says.
fn transform(image: &Image, m: [f64; 6], how: Interpolation, fill: f32) -> Result<Image> {
    let (channels, h, w) = (image.channels(), image.height(), image.width());
    let plane = (h * w).max(1);
    if how == Interpolation::Nearest {
        let places = nearest_places(h, w, m);
        if let Some(bytes) = image.bytes() {
            let fill = (fill * 255.0).round() as u8;
            return Image::from_bytes(channels, h, w, look_up(bytes, plane, &places, fill));
        }
        let floats = look_up(&image.pixels(), plane, &places, fill);
        return Image::new(channels, h, w, floats);
    }
    let between = if how == Interpolation::Bilinear {
        bilinear
    } else {
        bicubic
    };
    let mut out = Vec::with_capacity(channels * h * w);
    let places = between_places(h, w, m);
    if let Some(bytes) = image.bytes() {
        let fill = (fill * 255.0).round() as u8;
        for plane in bytes.chunks_exact(plane) {
            let at = |y: usize, x: usize| f64::from(plane[y * w + x]);
            // Cut, not rounded: Pillow's.
            let value = |p: &Option<[f64; 2]>| p.map_or(fill, |p| between(&at, [h, w], p) as u8);
            out.extend(places.iter().map(value));
        }
        return Image::from_bytes(channels, h, w, out);
    }
    let mut out = Vec::with_capacity(channels * h * w);
    for plane in image.pixels().chunks_exact(plane) {
        let at = |y: usize, x: usize| f64::from(plane[y * w + x]);
        let value = |p: &Option<[f64; 2]>| p.map_or(fill, |p| between(&at, [h, w], p) as f32);
        out.extend(places.iter().map(value));
    }
    Image::new(channels, h, w, out)
}

fn look_up<T: Copy>(pixels: &[T], plane: usize, places: &[Option<usize>], fill: T) -> Vec<T> {
    let planes = pixels.chunks_exact(plane);
    let of = |plane: &[T]| -> Vec<T> {
        places
            .iter()
            .map(|p| p.map_or(fill, |p| plane[p]))
            .collect()
    };
    planes.flat_map(of).collect()
}

/// Where the middle of each output pixel comes from, as a place in the plane; `None` outside.
fn nearest_places(h: usize, w: usize, m: [f64; 6]) -> Vec<Option<usize>> {
    let inside = |y: i64, x: i64| {
        let is_inside = (0..h as i64).contains(&y) && (0..w as i64).contains(&x);
        is_inside.then(|| y as usize * w + x as usize)
    };
    let mut places = Vec::with_capacity(h * w);
    if m[1] == 0.0 && m[3] == 0.0 {
        // Only scaled and shifted: columns and rows by themselves.
        let axis = |n: usize, step: f64, shift: f64| -> Vec<i64> {
            let mut at = shift + step * 0.5;
            let mut next = || {
                let place = if at < 0.0 { -1 } else { at as i64 };
                at += step;
                place
            };
            (0..n).map(|_| next()).collect()
        };
        let (xs, ys) = (axis(w, m[0], m[2]), axis(h, m[4], m[5]));
        ys.iter()
            .for_each(|&y| places.extend(xs.iter().map(|&x| inside(y, x))));
        return places;
    }
    let corners = [
        (0.0, 0.0),
        (w as f64, 0.0),
        (0.0, h as f64),
        (w as f64, h as f64),
    ];
    let fits = corners.iter().all(|(x, y)| {
        let within = |a: f64, b: f64, c: f64| (a * x + b * y + c).abs() < 32768.0;
        within(m[0], m[1], m[2]) && within(m[3], m[4], m[5])
    });
    let start = [
        m[2] + m[0] * 0.5 + m[1] * 0.5,
        m[5] + m[3] * 0.5 + m[4] * 0.5,
    ];
    if fits {
        let fixed = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
        let [dx, dy, down_x, down_y] = [m[0], m[3], m[1], m[4]].map(fixed);
        let [mut x0, mut y0] = start.map(fixed);
        for _ in 0..h {
            places.extend((0..w as i64).map(|i| inside((y0 + i * dy) >> 16, (x0 + i * dx) >> 16)));
            (x0, y0) = (x0 + down_x, y0 + down_y);
        }
        return places;
    }
    let whole = |v: f64| if v < 0.0 { -1 } else { v as i64 };
    let [mut x0, mut y0] = start;
    for _ in 0..h {
        let (mut x, mut y) = (x0, y0);
        for _ in 0..w {
            places.push(inside(whole(y), whole(x)));
            (x, y) = (x + m[0], y + m[3]);
        }
        (x0, y0) = (x0 + m[1], y0 + m[4]);
    }
    places
}

/// Where the middle of each output pixel comes from, as (y, x); `None` outside.
fn between_places(h: usize, w: usize, m: [f64; 6]) -> Vec<Option<[f64; 2]>> {
    let mut places = Vec::with_capacity(h * w);
    for row in 0..h {
        places.extend((0..w).map(|column| {
            let (u, v) = (column as f64 + 0.5, row as f64 + 0.5);
            let (x, y) = (m[0] * u + m[1] * v + m[2], m[3] * u + m[4] * v + m[5]);
            let inside = x >= 0.0 && x < w as f64 && y >= 0.0 && y < h as f64;
            inside.then_some([y, x])
        }));
    }
    places
}

/// The pixel before a place and how far behind it the place is. Places are counted from pixels' edges, values stand in their middles.
fn split(at: f64) -> (isize, f64) {
    let at = at - 0.5;
    (at.floor() as isize, at - at.floor())
}

fn clip(at: isize, size: usize) -> usize {
    at.clamp(0, size as isize - 1) as usize
}

fn bilinear(at: &dyn Fn(usize, usize) -> f64, [h, w]: [usize; 2], [y, x]: [f64; 2]) -> f64 {
    let ((y, dy), (x, dx)) = (split(y), split(x));
    let row = |y: usize| {
        let (a, b) = (at(y, clip(x, w)), at(y, clip(x + 1, w)));
        a + (b - a) * dx
    };
    let upper = row(clip(y, h));
    let lower = if y + 1 < h as isize {
        row((y + 1) as usize)
    } else {
        upper
    };
    upper + (lower - upper) * dy
}

/// Keys' cubic with a = -1, cut at the ends of bytes by whoever rounds.
fn bicubic(at: &dyn Fn(usize, usize) -> f64, [h, w]: [usize; 2], [y, x]: [f64; 2]) -> f64 {
    let ((y, dy), (x, dx)) = (split(y), split(x));
    let cubic = |[v1, v2, v3, v4]: [f64; 4], d: f64| {
        let (p1, p2) = (v2, -v1 + v3);
        let (p3, p4) = (2.0 * (v1 - v2) + v3 - v4, -v1 + v2 - v3 + v4);
        p1 + d * (p2 + d * (p3 + d * p4))
    };
    let row = |y: usize| cubic([-1, 0, 1, 2].map(|i| at(y, clip(x + i, w))), dx);
    let first = row(clip(y - 1, h));
    let mut rows = [first; 4];
    for i in 1..4 {
        // A row below the image is the one above it again.
        let below = y - 1 + i as isize;
        rows[i] = if (0..h as isize).contains(&below) {
            row(below as usize)
        } else {
            rows[i - 1]
        };
    }
    cubic(rows, dy)
}
