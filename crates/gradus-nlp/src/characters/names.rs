//! Names, one a line, as sequences of characters: the data of the bigram models.
//!
//! The vocabulary is the sorted characters that occur, with `.` at number 0 for "here a name begins or ends".

use std::ops::Range;
use std::path::Path;

use gradus_tensor::random::PythonRng;
use gradus_tensor::{Error, Result, Tensor};

/// The character that stands for the beginning and the end of a name; number 0 in every vocabulary.
pub const BOUNDARY: char = '.';

/// A list of names and the characters they are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    names: Vec<String>,
    characters: Vec<char>, // (V); characters[0] is the boundary
}

impl Names {
    /// Names from a text, one a line; blank lines and spaces around a name are left out.
    ///
    /// Errors when there are none, or one contains the boundary `.`.
    ///
    /// ```
    /// let names = gradus_nlp::Names::from_text("emma\nolivia\nava\n")?;
    /// assert_eq!(names.len(), 3);
    /// assert_eq!(names.encode("ava"), Some(vec![1, 7, 1])); // . a e i l m o v
    /// assert_eq!(names.decode(&[1, 7, 1, 0]), Some("ava.".to_owned()));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn from_text(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let names: Vec<String> = lines.map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Error::value(
                "Names",
                "the text has no names in it, one is expected on each line",
            ));
        }
        if let Some(bad) = names.iter().find(|name| name.contains(BOUNDARY)) {
            return Err(Error::value(
                "Names",
                format!("{bad:?} contains {BOUNDARY:?}, which marks where a name ends"),
            ));
        }
        let mut characters: Vec<char> = names.iter().flat_map(|name| name.chars()).collect();
        characters.sort_unstable();
        characters.dedup();
        characters.insert(0, BOUNDARY);
        Ok(Self { names, characters })
    }

    /// The same from a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io("", format!("cannot read {}", path.display()), e))?;
        Self::from_text(&text)
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none (never: a list without names cannot be made).
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// V, the size of the vocabulary, boundary included.
    pub fn vocabulary(&self) -> usize {
        self.characters.len()
    }

    /// The number of a character.
    pub fn index(&self, c: char) -> Option<usize> {
        if c == BOUNDARY {
            return Some(0);
        }
        self.characters[1..].binary_search(&c).ok().map(|i| i + 1)
    }

    /// A name as numbers; `None` when a character is not in the vocabulary.
    pub fn encode(&self, name: &str) -> Option<Vec<usize>> {
        name.chars().map(|c| self.index(c)).collect()
    }

    /// Numbers as text; `None` when a number is not in the vocabulary.
    pub fn decode(&self, indices: &[usize]) -> Option<String> {
        indices.iter().map(|&i| self.characters.get(i)).collect()
    }

    /// The names in the order Python's `random.seed(seed); random.shuffle(names)` gives them.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut shuffled = self.clone();
        PythonRng::seed(seed).shuffle(&mut shuffled.names);
        shuffled
    }

    /// Some of the names, with the vocabulary of all.
    ///
    /// ```
    /// let names = gradus_nlp::Names::from_text("emma\nolivia\nava\n")?;
    /// let last = names.range(2..3)?;
    /// assert_eq!((last.names(), last.vocabulary()), (&["ava".to_owned()][..], 8));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are not so many.
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        match self.names.get(range.clone()) {
            Some(names) if !names.is_empty() => Ok(Self {
                names: names.to_vec(),
                characters: self.characters.clone(),
            }),
            _ => Err(Error::index(
                "Names::range",
                format!("no names {range:?} among {}", self.len()),
            )),
        }
    }

    /// For every character the `block` before it, with boundaries where there are none: i64 (N, T), and i64 (N) the characters.
    ///
    /// ```
    /// let names = gradus_nlp::Names::from_text("ab\n")?; // . a b
    /// let (before, next) = names.contexts(2)?;
    /// assert_eq!(before.to_vec::<i64>()?, [0, 0, 0, 1, 1, 2]);
    /// assert_eq!(next.to_vec::<i64>()?, [1, 2, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn contexts(&self, block: usize) -> Result<(Tensor, Tensor)> {
        let (mut before, mut next) = (Vec::new(), Vec::new());
        for name in &self.names {
            let mut context = vec![0; block];
            for c in name.chars().chain([BOUNDARY]) {
                // Every character of a name is in the vocabulary made from the names.
                let index = self.index(c).unwrap_or(0) as i64;
                before.extend_from_slice(&context);
                next.push(index);
                context.push(index);
                context.remove(0);
            }
        }
        let n = next.len();
        Ok((
            Tensor::from_vec(before, [n, block])?,
            Tensor::from_vec(next, [n])?,
        ))
    }

    /// Every pair of neighbouring characters, boundaries included, as two tensors i64 (N): what stands first, what follows.
    pub fn bigrams(&self) -> Result<(Tensor, Tensor)> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for name in &self.names {
            let mut before = 0;
            for c in name.chars().chain([BOUNDARY]) {
                // Every character of a name is in the vocabulary made from the names.
                let index = self.index(c).unwrap_or(0) as i64;
                first.push(before);
                second.push(index);
                before = index;
            }
        }
        let n = first.len();
        Ok((
            Tensor::from_vec(first, [n])?,
            Tensor::from_vec(second, [n])?,
        ))
    }
}
