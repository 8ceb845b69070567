//! `#[derive(Module)]`: writes, for a struct or an enum, the two walks over its fields that everything in
//! `gradus_nn::Module` (state dicts, optimisers, freezing, train and eval mode) is built on.
//!
//! It is not a framework in itself: the generated code is one line per field, calling `gradus_nn::Visit` on it, and
//! nothing else. What a field may be is decided by the trait, not by this macro, which never looks at a type:
//! a field of a type without `Visit` is a compile error that says to write `#[module(skip)]`. The idea of fields as
//! a fixed table, walked by name, is PyTorch's `nn.Module`; doing it by a derive is burn's and rten's.
//!
//! See the documentation of `gradus_nn::Module` for the derive in use.
#![forbid(unsafe_code)]

mod attributes;
mod expand;
mod location;

use proc_macro::TokenStream;

/// Derives `gradus_nn::Visit` and `gradus_nn::Module` for a struct or an enum.
///
/// Every field is visited under its own name (tuple fields under their index), so the dotted names are those PyTorch
/// gives the same tree of attributes. A raw identifier loses its `r#`.
///
/// | on a field                     | meaning                                                                        |
/// |--------------------------------|--------------------------------------------------------------------------------|
/// | `#[module(skip)]`              | not a part: nothing inside it is visited (settings, caches)                     |
/// | `#[module(rename = "LayerNorm")]` | visited under that name, which need not be a Rust identifier                 |
/// | `#[module(flatten)]`           | visited under the parent's own path: the field adds no name                     |
///
/// | on the type                     | meaning                                                                       |
/// |---------------------------------|-------------------------------------------------------------------------------|
/// | `#[module(crate = "my::nn")]`   | where `gradus_nn` is found; as a dependency, or as the facade's `gradus::nn`, it is found without |
///
/// An enum is a choice between modules, not a level of its own: a variant with one unnamed field
/// (`Block::Basic(BasicBlock)`) adds no name, other variants name their fields as a struct does.
///
/// Generic parameters work: each field type that mentions one is bounded by `Visit`.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::module(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
