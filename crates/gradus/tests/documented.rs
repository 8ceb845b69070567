//! Every public op says what may go wrong and shows a value: an example and errors for `Tensor`'s ops and the functions of
//! `functional`; for a method of `Var`, its gradient and the op of `Tensor` it mirrors. The sources are read as text, so a new op
//! without documentation fails here by name.

use std::path::Path;

/// A public function: its name, whether it can fail, and its documentation.
struct Documented {
    name: String,
    fallible: bool,
    docs: String,
}

/// The public functions in the files of a folder and its subfolders. Functions that macros make are named by the macro's lines,
/// which carry their examples, and are not seen here.
fn functions(folder: &Path) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(functions(&path));
        } else if path.extension().is_some_and(|x| x == "rs") {
            in_file(&std::fs::read_to_string(&path).unwrap(), &mut found);
        }
    }
    found
}

fn in_file(text: &str, found: &mut Vec<Documented>) {
    let mut docs = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc.trim());
            docs.push('\n');
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let name = line.strip_prefix("pub fn ").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            (end > 0).then(|| rest[..end].to_string())
        });
        if let Some(name) = name {
            let mut signature = line.to_string();
            while !signature.contains('{') {
                let Some(more) = lines.next() else { break };
                signature.push_str(more);
            }
            let fallible = signature.contains("Result<");
            let docs = std::mem::take(&mut docs);
            found.push(Documented {
                name,
                fallible,
                docs,
            });
        }
        docs.clear();
    }
}

/// What is missing of `wanted`, for each function.
fn lacking(
    folder: &str,
    wanted: impl Fn(&Documented) -> Vec<&'static str>,
) -> (usize, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let functions = functions(&root);
    let missing = functions.iter().filter_map(|f| {
        let missing = wanted(f);
        let line = format!("{folder}: {} lacks {}", f.name, missing.join(" and "));
        (!missing.is_empty()).then_some(line)
    });
    (functions.len(), missing.collect())
}

/// An example and errors; what reuses memory, or takes a number for a tensor, may point to the op it is a form of.
fn example_and_errors(f: &Documented) -> Vec<&'static str> {
    let form = f.docs.contains("As [`") || f.docs.contains("As [") && f.name.ends_with('_');
    let mut missing = Vec::new();
    if !f.docs.contains("```") && !form {
        missing.push("an example");
    }
    if f.fallible && !f.docs.contains("# Errors") {
        missing.push("errors");
    }
    missing
}

/// A gradient, and errors or the op whose they are.
fn gradient_and_mirror(f: &Documented) -> Vec<&'static str> {
    let form = f.name.ends_with('_');
    let mut missing = Vec::new();
    if !f.docs.contains("Gradient: ") && !form {
        missing.push("its gradient");
    }
    let said =
        f.docs.contains("# Errors") || f.docs.replace('\n', " ").contains("errors are those of");
    if f.fallible && !said && !form {
        missing.push("errors");
    }
    missing
}

#[test]
fn every_op_has_errors_and_an_example() {
    let (tensor, mut missing) = lacking("gradus-tensor/src/ops", example_and_errors);
    let (functional, more) = lacking("gradus-autograd/src/functional", example_and_errors);
    missing.extend(more);
    let (var, more) = lacking("gradus-autograd/src/ops", gradient_and_mirror);
    missing.extend(more);
    println!("{tensor} ops of Tensor, {functional} functions, {var} methods of Var");
    assert!(
        tensor > 150 && functional > 80 && var > 200,
        "the sources were not found"
    );
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_reader_of_sources_reads() {
    let mut found = Vec::new();
    let text = "/// Doc.\n///\n/// # Errors\n/// Never.\n#[must_use]\npub fn good(\n    x: i32,\n) -> Result<i32> {\n}\n\npub fn bare() {}\n";
    in_file(text, &mut found);
    let names: Vec<&str> = found.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["good", "bare"]);
    assert!(found[0].fallible && found[0].docs.contains("# Errors"));
    assert_eq!(example_and_errors(&found[0]), ["an example"]);
    assert!(found[1].docs.is_empty() && !found[1].fallible);
}
