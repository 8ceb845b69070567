//! Where the derived code finds `gradus_nn`: named directly as a dependency, or through the facade as `gradus::nn`.
//! It reads the user's manifest for the two names and nothing else; a renamed dependency needs `#[module(crate = "…")]`.
//! The idea is the `proc-macro-crate` crate's, which does it for every case and with a TOML parser.

use syn::{Path, parse_quote};

/// `::gradus_nn`, or `::gradus::nn` where only the facade is a dependency.
pub fn gradus_nn() -> Path {
    let manifest = std::env::var("CARGO_MANIFEST_DIR")
        .ok()
        .and_then(|dir| std::fs::read_to_string(std::path::Path::new(&dir).join("Cargo.toml")).ok())
        .unwrap_or_default();
    if !names(&manifest, "gradus-nn") && names(&manifest, "gradus") {
        parse_quote!(::gradus::nn)
    } else {
        parse_quote!(::gradus_nn)
    }
}

/// Is `name` a dependency (or the package itself) in this manifest? `name = …`, `name.workspace = …`, `[dependencies.name]`.
fn names(manifest: &str, name: &str) -> bool {
    manifest.lines().map(str::trim).any(|line| {
        let key = line
            .split(['=', '.'])
            .next()
            .unwrap_or("")
            .trim()
            .trim_matches('"');
        let table =
            line.starts_with('[') && line.trim_end_matches(']').rsplit('.').next() == Some(name);
        key == name || table || line.replace(' ', "") == format!("name=\"{name}\"")
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn finds_each_way_to_name_a_dependency() {
        for manifest in [
            "[dependencies]\ngradus-nn = \"1\"",
            "gradus-nn.workspace = true",
            "[dependencies.gradus-nn]\nversion = \"1\"",
            "[package]\nname = \"gradus-nn\"",
        ] {
            assert!(names(manifest, "gradus-nn"), "{manifest}");
            assert!(!names(manifest, "gradus"), "{manifest}");
        }
        assert!(names("gradus = { path = \"x\" }", "gradus"));
        assert!(!names("gradus-nn-derive = \"1\"", "gradus-nn"));
    }
}
