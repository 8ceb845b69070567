//! Arguments nobody should pass, to every operation of the crate: each call returns, with `Err` or with a value that can be read.
//! Nothing panics, nothing aborts, nothing asks for memory without bounds, nothing hangs.
//!
//! The arguments are modelled on the classes of TensorFlow's security advisories (see `draw.rs`). A run makes 300 calls of each
//! operation; `GRADUS_HOSTILE=10000` makes as many as it says. `cargo xtask asan` does that under AddressSanitizer.
//! A test reads the sources and fails if a public operation is not in the table.

mod creation;
mod draw;
mod elementwise;
mod guard;
mod index;
mod join;
mod linalg;
mod look;
mod nn;
mod optim;
mod products;
mod reduce;
mod sequence;
mod spatial;
mod table;
mod views;

use std::collections::BTreeSet;

use table::{Op, run};

type Family = (&'static str, fn() -> Vec<Op>);

const FAMILIES: [Family; 12] = [
    ("creation", creation::ops),
    ("elementwise", elementwise::ops),
    ("views", views::ops),
    ("reduce", reduce::ops),
    ("index", index::ops),
    ("join", join::ops),
    ("products", products::ops),
    ("linalg", linalg::ops),
    ("nn", nn::ops),
    ("optim", optim::ops),
    ("spatial", spatial::ops),
    ("sequence", sequence::ops),
];

macro_rules! families {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run(stringify!($name), &$name::ops());
        }
    )*};
}
families!(creation elementwise views reduce index join products linalg nn optim spatial sequence);

#[test]
fn every_operation_is_in_the_table() {
    let listed: BTreeSet<&str> = FAMILIES
        .iter()
        .flat_map(|(_, ops)| ops())
        .map(|op| op.name)
        .collect();
    let mut missing = table::public_operations();
    missing.retain(|name| !listed.contains(&name[..]));
    // Said before the panic, whose text the other tests' hook keeps to itself.
    println!("operations with no line in tests/hostile/*.rs: {missing:?}");
    assert!(missing.is_empty());
}
