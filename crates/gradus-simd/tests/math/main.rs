//! Tests of the vector maths, in one binary since each instantiates every function on every ISA.
mod accuracy;
mod common;
mod same_bits;
mod special;
mod two;
mod vectors;
