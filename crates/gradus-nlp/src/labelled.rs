//! [`LabelledTexts`]: texts with a class each, from a file of tab- or comma-separated values, and batches of them for training
//! ([`EncodedTexts`]). Of columns only the two that are needed are kept; a first line that names them is found by their usual names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gradus_tensor::{Error, Result, Tensor};
use gradus_train::{Batch, Dataset, Dice};

use crate::models::TextInput;
use crate::tokenizers::{Encoding, Tokenizer};

/// What columns of texts are called.
const TEXT_NAMES: [&str; 6] = ["text", "sentence", "content", "review", "question", "title"];
/// What columns of classes are called.
const LABEL_NAMES: [&str; 5] = ["label", "labels", "class", "category", "sentiment"];

/// Texts and the class of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledTexts {
    /// The texts.
    pub texts: Vec<String>,
    /// The number of each text's class.
    pub labels: Vec<usize>,
    /// The classes' names, by number: as the file writes them, numbers in order of size, words in order of the alphabet.
    pub classes: Vec<String>,
}

impl LabelledTexts {
    /// Reads a file; the content of `.csv` files is separated by commas, with quotes where a text has some, that of others by tabs.
    ///
    /// # Errors
    /// When the file cannot be read or is not UTF-8, or a line has less than two columns; the error names file and line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::io("", format!("cannot read {}: {e}", path.display()), e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::format(
                "",
                format!("{}: not UTF-8 text (byte {at})", path.display()),
            )
        })?;
        let commas = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        Self::parse(&text, commas)
            .map_err(|e| Error::format("", format!("{}: {e}", path.display())))
    }

    /// The same from text in memory.
    ///
    /// # Errors
    /// When a line has less than two columns; the error names the line.
    ///
    /// ```
    /// use gradus_nlp::LabelledTexts;
    /// let data = LabelledTexts::parse("sentence\tlabel\nlovely\tgood\nnot, again\tbad\n", false)?;
    /// assert_eq!(data.classes, ["bad", "good"]);
    /// assert_eq!((data.texts[1].as_str(), data.labels[1]), ("not, again", 0));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn parse(text: &str, commas: bool) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rows = if commas {
            comma_rows(text)?
        } else {
            tab_rows(text)
        };
        let mut rows = rows.into_iter().peekable();
        let (mut text_at, mut label_at) = (0, None);
        if let Some((_, first)) = rows.peek() {
            let find = |names: &[&str]| {
                let named = |name: &&str| {
                    first
                        .iter()
                        .position(|c| c.trim().eq_ignore_ascii_case(name))
                };
                names.iter().find_map(named)
            };
            if let (Some(text), Some(label)) = (find(&TEXT_NAMES), find(&LABEL_NAMES)) {
                (text_at, label_at) = (text, Some(label));
                rows.next();
            }
        }
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        for (line, mut row) in rows {
            let label = label_at.unwrap_or(row.len().saturating_sub(1));
            if row.len() < 2 || row.len() <= label.max(text_at) {
                let text = format!(
                    "line {line} has {} column{}; it needs a text and a label",
                    row.len(),
                    if row.len() == 1 { "" } else { "s" }
                );
                return Err(Error::format("", text));
            }
            names.push(std::mem::take(&mut row[label]).trim().to_owned());
            texts.push(std::mem::take(&mut row[text_at]));
        }
        if texts.is_empty() {
            return Err(Error::format(
                "",
                "there is no line with a text and a label",
            ));
        }
        let classes = in_order(&names);
        let number = |name: &String| classes.iter().position(|c| c == name).unwrap_or(0);
        let labels = names.iter().map(number).collect();
        Ok(Self {
            texts,
            labels,
            classes,
        })
    }

    /// The same texts with the numbers other data gives the classes, such as what a model was trained on.
    ///
    /// # Errors
    /// When there is a class the other data does not have.
    pub fn numbered_as(mut self, classes: &[String]) -> Result<Self> {
        let numbers = self
            .classes
            .iter()
            .map(|name| {
                classes.iter().position(|c| c == name).ok_or_else(|| {
                    let known = classes.join(", ");
                    let text = format!("the class {name:?} is not among those learnt: {known}");
                    Error::value("", text)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        for label in &mut self.labels {
            *label = numbers[*label];
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// How many texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts of these numbers.
    ///
    /// # Errors
    /// When there is no such number.
    pub fn pick(&self, numbers: &[usize]) -> Result<Self> {
        if let Some(n) = numbers.iter().find(|&&n| n >= self.len()) {
            let text = format!("text {n} of {}", self.len());
            return Err(Error::index("LabelledTexts", text));
        }
        Ok(Self {
            texts: numbers.iter().map(|&n| self.texts[n].clone()).collect(),
            labels: numbers.iter().map(|&n| self.labels[n]).collect(),
            classes: self.classes.clone(),
        })
    }
}

/// The part `train`, `dev` or `test` in a folder, as `.tsv` or `.csv`; `dev` may also be called `validation`, `valid` or `val`.
pub fn part_in(folder: &Path, part: &str) -> Option<PathBuf> {
    let names: &[&str] = match part {
        "dev" => &["dev", "validation", "valid", "val"],
        _ => &[part],
    };
    let mut files = names
        .iter()
        .flat_map(|name| ["tsv", "csv"].map(|end| folder.join(format!("{name}.{end}"))));
    files.find(|file| file.is_file())
}

/// The different names: by number if all are numbers, otherwise by alphabet.
fn in_order(names: &[String]) -> Vec<String> {
    let different: BTreeSet<&String> = names.iter().collect();
    let mut classes: Vec<String> = different.into_iter().cloned().collect();
    if classes.iter().all(|c| c.parse::<i64>().is_ok()) {
        classes.sort_by_key(|c| c.parse::<i64>().unwrap_or(0));
    }
    classes
}

/// Lines with their numbers, cut at tabs; empty ones do not count.
fn tab_rows(text: &str) -> Vec<(usize, Vec<String>)> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| (i + 1, line.split('\t').map(str::to_owned).collect()))
        .collect()
}

/// Rows with the numbers of their first lines, cut at commas outside of quotes (RFC 4180).
fn comma_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut first, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    let mut end = |row: &mut Vec<String>, cell: &mut String, first: usize| {
        row.push(std::mem::take(cell));
        let row = std::mem::take(row);
        if row.len() > 1 || !row[0].trim().is_empty() {
            rows.push((first, row));
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' => {
                line += 1;
                if quoted {
                    cell.push('\n');
                } else {
                    end(&mut row, &mut cell, first);
                    first = line;
                }
            }
            c => cell.push(c),
        }
    }
    if quoted {
        let text = format!("the quote that opens in the row of line {first} is never closed");
        return Err(Error::format("", text));
    }
    if !row.is_empty() || !cell.is_empty() {
        end(&mut row, &mut cell, first);
    }
    Ok(rows)
}

/// Labelled texts as tokens, ready to be made into batches; each batch is filled up to its longest text.
#[derive(Clone, Debug)]
pub struct EncodedTexts {
    encodings: Vec<Encoding>,
    labels: Vec<i64>,
    padding: u32,
}

/// A batch of texts and their classes.
#[derive(Clone, Debug)]
pub struct TextBatch {
    /// The texts.
    pub input: TextInput,
    /// i64 (B)
    pub labels: Tensor,
}

impl Batch for TextBatch {
    fn tensors(&mut self) -> Vec<&mut Tensor> {
        let input = &mut self.input;
        let mut all = vec![&mut input.input_ids, &mut self.labels];
        let rest = [
            &mut input.attention_mask,
            &mut input.token_type_ids,
            &mut input.position_ids,
        ];
        all.extend(rest.into_iter().flatten());
        all
    }
}

impl EncodedTexts {
    /// Encodes the texts, on all cores; `padding` fills up the shorter ones of a batch.
    ///
    /// # Errors
    /// When a text cannot be written with the vocabulary.
    pub fn new(data: &LabelledTexts, tokenizer: &Tokenizer, padding: u32) -> Result<Self> {
        Ok(Self {
            encodings: tokenizer.encode_batch(&data.texts)?,
            labels: data.labels.iter().map(|&label| label as i64).collect(),
            padding,
        })
    }

    /// How many tokens each text has.
    pub fn lengths(&self) -> Vec<usize> {
        self.encodings.iter().map(Encoding::len).collect()
    }
}

impl Dataset for EncodedTexts {
    type Batch = TextBatch;

    fn len(&self) -> usize {
        self.encodings.len()
    }

    fn batch(&self, indices: &[usize], _: Dice) -> Result<TextBatch> {
        let texts: Vec<_> = indices.iter().map(|&i| &self.encodings[i]).collect();
        let labels = indices.iter().map(|&i| self.labels[i]).collect();
        Ok(TextBatch {
            input: TextInput::from_encodings(&texts, self.padding)?,
            labels: Tensor::from_vec::<i64>(labels, [indices.len()])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, commas: bool) -> LabelledTexts {
        LabelledTexts::parse(text, commas).unwrap()
    }

    #[test]
    fn files_as_they_are_found() {
        // SST-2's: no header. GLUE's: a header. Numbers count by size.
        let plain = parse("one long string\t10\nfine\t9\n\n", false);
        assert_eq!(plain.classes, ["9", "10"]);
        assert_eq!(plain.labels, [1, 0]);
        let glue = parse(
            "idx\tsentence\tlabel\r\n7\tgood\t1\r\n8\tpoor\t0\r\n",
            false,
        );
        assert_eq!(
            (&glue.texts[..], &glue.labels[..]),
            (&["good".to_owned(), "poor".to_owned()][..], &[1, 0][..])
        );
        let quoted = parse("label,text\n\"a\",\"so, \"\"it\"\" goes\non\"\nb,x\n", true);
        assert_eq!(quoted.texts, ["so, \"it\" goes\non", "x"]);
        assert_eq!(quoted.classes, ["a", "b"]);
    }

    #[test]
    fn what_is_no_such_file_is_refused_by_line() {
        for (text, commas, expected) in [
            ("a\t1\nalone\n", false, "line 2 has 1 column;"),
            ("", false, "no line with"),
            ("a,\"open\n", true, "never closed"),
            ("text,label\n\"x\ny\",1\nz\n", true, "line 4 has 1 column"),
        ] {
            let error = LabelledTexts::parse(text, commas).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            LabelledTexts::read("/nowhere.tsv")
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
    }

    #[test]
    fn other_data_is_numbered_alike_or_refused() {
        let train = parse("x\tno\ny\tyes\n", false);
        let test = parse("z\tyes\n", false)
            .numbered_as(&train.classes)
            .unwrap();
        assert_eq!(
            (test.labels, test.classes),
            (vec![1], train.classes.clone())
        );
        let error = parse("z\tmaybe\n", false)
            .numbered_as(&train.classes)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("\"maybe\" is not among those learnt: no, yes")
        );
    }

    #[test]
    fn a_batch_is_filled_to_its_longest() {
        let encoding = |n: usize| Encoding {
            ids: vec![5; n],
            type_ids: vec![0; n],
            ..Encoding::default()
        };
        let data = EncodedTexts {
            encodings: vec![encoding(2), encoding(9), encoding(3)],
            labels: vec![0, 1, 1],
            padding: 0,
        };
        let batch = data.batch(&[2, 0], Dice { seed: 0, epoch: 0 }).unwrap();
        assert_eq!(batch.input.input_ids.dims(), [2, 3]);
        assert_eq!(batch.labels.to_vec::<i64>().unwrap(), [1, 0]);
        assert_eq!(data.lengths(), [2, 9, 3]);
    }
}
