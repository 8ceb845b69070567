//! Every family against `ndarray` in f64: ranks 0 to 5, sizes 0 to 4, and operands that are permuted, flipped, stepped, offset or
//! broadcast; 256 cases of each. What `ndarray` lacks is written out on its indices, naively.

mod common;
mod elementwise;
mod index;
mod network;
mod order;
mod products;
mod reduce;
mod views;
