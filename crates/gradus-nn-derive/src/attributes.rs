//! The `#[module(...)]` attributes of `#[derive(Module)]`, read and checked: what stands on the type, and what on a field.
//! It is not where they take effect; that is `expand.rs`.

use syn::{Attribute, Error, LitStr, Path, Result, Token};

/// What `#[module(...)]` on the type said.
#[derive(Default)]
pub struct TypeAttributes {
    /// `crate = "path"`: where `gradus_nn` is found.
    pub krate: Option<Path>,
}

/// What `#[module(...)]` on one field said.
#[derive(Default)]
pub struct FieldAttributes {
    /// `skip`: the field is no part of the module.
    pub skip: bool,
    /// `flatten`: the field adds no name to the path.
    pub flatten: bool,
    /// `rename = "name"`.
    pub rename: Option<String>,
}

impl TypeAttributes {
    /// Reads the attributes of the type itself.
    pub fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in module_attributes(attributes) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    let path: LitStr = meta.value()?.parse()?;
                    found.krate = Some(path.parse()?);
                    Ok(())
                } else {
                    Err(meta.error("on a type, `#[module(...)]` knows only `crate = \"path\"`"))
                }
            })?;
        }
        Ok(found)
    }
}

impl FieldAttributes {
    /// Reads the attributes of one field.
    pub fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in module_attributes(attributes) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    found.skip = true;
                } else if meta.path.is_ident("flatten") {
                    found.flatten = true;
                } else if meta.path.is_ident("rename") {
                    let name: LitStr = meta.value()?.parse()?;
                    if name.value().is_empty() {
                        return Err(Error::new(name.span(), "a name may not be empty; `flatten` adds no name"));
                    }
                    found.rename = Some(name.value());
                } else {
                    return Err(meta.error("on a field, `#[module(...)]` knows `skip`, `flatten` and `rename = \"name\"`"));
                }
                if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
                    return Err(meta.input.error("expected a comma"));
                }
                Ok(())
            })?;
            if usize::from(found.skip)
                + usize::from(found.flatten)
                + usize::from(found.rename.is_some())
                > 1
            {
                return Err(Error::new_spanned(
                    attribute,
                    "`skip`, `flatten` and `rename` exclude each other",
                ));
            }
        }
        Ok(found)
    }
}

fn module_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|a| a.path().is_ident("module"))
}
