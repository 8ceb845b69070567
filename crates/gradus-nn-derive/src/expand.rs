//! The code `#[derive(Module)]` writes: for each variant (a struct is its own only variant) one match arm that binds the
//! fields and calls `Visit` on each. It is not where the meaning of a field is decided: `gradus_nn::Visit` is.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Result, Type, parse_quote};

use crate::attributes::{FieldAttributes, TypeAttributes};

/// One match arm's two bodies, and the types its fields need `Visit` for.
struct Arm {
    pattern: TokenStream,
    visit: TokenStream,
    visit_mut: TokenStream,
    types: Vec<Type>,
}

/// Expands the derive.
pub fn module(input: &DeriveInput) -> Result<TokenStream> {
    let krate = match TypeAttributes::read(&input.attrs)?.krate {
        Some(path) => path,
        None => crate::location::gradus_nn(),
    };
    let arms = match &input.data {
        Data::Struct(data) => vec![arm(&krate, &quote!(Self), &data.fields, false)?],
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|v| {
                let ident = &v.ident;
                arm(&krate, &quote!(Self::#ident), &v.fields, true)
            })
            .collect::<Result<_>>()?,
        Data::Union(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "a union cannot be a Module: its fields overlap",
            ));
        }
    };

    let name = &input.ident;
    let kind = name.unraw().to_string();
    let mut generics = input.generics.clone();
    let parameters: BTreeSet<String> = generics
        .type_params()
        .map(|p| p.ident.to_string())
        .collect();
    for ty in arms.iter().flat_map(|arm| &arm.types) {
        if mentions(ty.to_token_stream(), &parameters) {
            generics
                .make_where_clause()
                .predicates
                .push(parse_quote!(#ty: #krate::Visit));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();

    let patterns: Vec<_> = arms.iter().map(|arm| &arm.pattern).collect();
    let visits: Vec<_> = arms.iter().map(|arm| &arm.visit).collect();
    let visits_mut: Vec<_> = arms.iter().map(|arm| &arm.visit_mut).collect();
    // An enum without variants has no value to visit, and `match self {}` on a reference is not exhaustive.
    let (body, body_mut) = if arms.is_empty() {
        (quote!(match *self {}), quote!(match *self {}))
    } else {
        (
            quote!(match self { #(#patterns => { #visits })* }),
            quote!(match self { #(#patterns => { #visits_mut })* }),
        )
    };

    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Visit for #name #type_generics #where_clause {
            fn visit<'visit>(
                &'visit self,
                path: &mut #krate::Path,
                f: &mut dyn ::core::ops::FnMut(&#krate::Path, #krate::Part<'visit>),
            ) {
                f(path, #krate::Part::Module(#kind));
                #body
            }

            fn visit_mut<'visit>(
                &'visit mut self,
                path: &mut #krate::Path,
                f: &mut dyn ::core::ops::FnMut(&#krate::Path, #krate::PartMut<'visit>),
            ) {
                #body_mut
            }
        }

        #[automatically_derived]
        impl #impl_generics #krate::Module for #name #type_generics #where_clause {}
    })
}

fn arm(
    krate: &syn::Path,
    constructor: &TokenStream,
    fields: &Fields,
    is_variant: bool,
) -> Result<Arm> {
    // `Block::Basic(BasicBlock)` is a choice, not a level: it adds no name.
    let transparent = is_variant && fields.len() == 1 && matches!(fields, Fields::Unnamed(_));
    let mut arm = Arm {
        pattern: TokenStream::new(),
        visit: TokenStream::new(),
        visit_mut: TokenStream::new(),
        types: Vec::new(),
    };
    let mut bindings = TokenStream::new();
    for (i, field) in fields.iter().enumerate() {
        let attributes = FieldAttributes::read(&field.attrs)?;
        if attributes.skip {
            continue;
        }
        let member = match &field.ident {
            Some(ident) => ident.to_token_stream(),
            None => syn::Index::from(i).to_token_stream(),
        };
        let binding = format_ident!("field_{i}");
        bindings.extend(quote!(#member: #binding,));
        let name = attributes.rename.unwrap_or_else(|| {
            field
                .ident
                .as_ref()
                .map_or_else(|| i.to_string(), |ident: &Ident| ident.unraw().to_string())
        });
        let path = if attributes.flatten || transparent {
            quote!(path)
        } else {
            quote!(&mut path.enter(#name))
        };
        arm.visit
            .extend(quote!(#krate::Visit::visit(#binding, #path, f);));
        arm.visit_mut
            .extend(quote!(#krate::Visit::visit_mut(#binding, #path, f);));
        arm.types.push(field.ty.clone());
    }
    arm.pattern = quote!(#constructor { #bindings .. });
    Ok(arm)
}

/// Does the type mention one of the generic parameters?
fn mentions(tokens: TokenStream, parameters: &BTreeSet<String>) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => parameters.contains(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), parameters),
        _ => false,
    })
}
