//! Copies of every layout, concatenation, rows by index, and conversions between all types. Little of it is vector code of
//! ours, but it must not care about lengths and places either.
use crate::common::{LONGEST, Placed, bits, number, same_bits};
use crate::ops::value;
use gradus_cpu::embedding::{gather_rows, scatter_add_rows};
use gradus_cpu::{Element, View, ViewMut, bf16, cast, copy, f16};

/// One conversion, held to the rule for one element.
fn conversion<A: Element, B: Element>() {
    same_bits(&format!("{} to {}", A::NAME, B::NAME), |n, offset| {
        let x = Placed::<A>::new(n, offset, |i| A::from_f64(value(i) * 100.0));
        let mut y = Placed::<B>::output(n, 5 * offset);
        cast::cast(x.view(&[n]), y.get_mut()).unwrap();
        let one_by_one: Vec<B> = x.get().iter().map(|x| x.cast()).collect();
        assert_eq!(y.bits(), bits(&one_by_one), "{} to {}", A::NAME, B::NAME);
        y.bits()
    });
}

fn conversions_from<A: Element>() {
    conversion::<A, bool>();
    conversion::<A, u8>();
    conversion::<A, i32>();
    conversion::<A, i64>();
    conversion::<A, f16>();
    conversion::<A, bf16>();
    conversion::<A, f32>();
    conversion::<A, f64>();
}

#[test]
fn conversions() {
    conversions_from::<bool>();
    conversions_from::<u8>();
    conversions_from::<i32>();
    conversions_from::<i64>();
    conversions_from::<f16>();
    conversions_from::<bf16>();
    conversions_from::<f32>();
    conversions_from::<f64>();
}

fn copies<T: Element>() {
    same_bits(&format!("copies of {}", T::NAME), |n, offset| {
        let x = Placed::<T>::new(3 * n, offset, number);
        let shape = [3, n];
        let mut y = Placed::<T>::output(3 * n, 5 * offset);
        let mut all = Vec::new();
        let (row, last) = (n as isize, (3 * n).saturating_sub(1));
        // Rows, transposed, backwards, every third.
        for (at, shape, strides) in [
            (0, [3, n], [row, 1]),
            (0, [n, 3], [1, row]),
            (last, [3, n], [-row, -1]),
            (0, [n, 3], [3, 1]),
        ] {
            let view = View::new(x.get(), at, &shape, &strides).unwrap();
            copy::copy(view, y.get_mut()).unwrap();
            let one_by_one: Vec<T> = view.iter().collect();
            assert_eq!(y.bits(), bits(&one_by_one), "{} {strides:?}", T::NAME);
            all.extend(y.bits());
        }
        let columns = [1, 3];
        let to = ViewMut::new(y.get_mut(), 0, &shape, &columns).unwrap();
        copy::copy_into(x.view(&shape), to).unwrap();
        all.extend(y.bits());
        copy::cat(
            &[(&x.get()[..n], n), (&x.get()[n..], 2 * n)],
            1,
            y.get_mut(),
        )
        .unwrap();
        assert_eq!(y.bits(), bits(x.get()));
        copy::fill(y.get_mut(), T::ONE);
        assert!(y.get().iter().all(|&y| y == T::ONE));
        all.extend(y.bits());
        all
    });
}

#[test]
fn copies_of_every_width() {
    copies::<u8>();
    copies::<bf16>();
    copies::<f32>();
    copies::<i64>();
}

fn embedding<T: Element>() {
    let indices = [3i64, 0, 3, 1, 3, 4];
    same_bits(&format!("embedding {}", T::NAME), |n, offset| {
        let table = Placed::<T>::new(5 * n, offset, number);
        let mut y = Placed::output(6 * n, 5 * offset);
        gather_rows(table.get(), 5, n, &indices, y.get_mut()).unwrap();
        let mut sums = Placed::<T>::new(5 * n, 3 * offset, |i| number(i + LONGEST));
        scatter_add_rows(y.get(), &indices, 5, n, sums.get_mut()).unwrap();
        [y.bits(), sums.bits()].concat()
    });
}

#[test]
fn embeddings() {
    embedding::<f32>();
    embedding::<f64>();
    embedding::<f16>();
    embedding::<bf16>();
    embedding::<i32>();
}
