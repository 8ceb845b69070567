//! A trie over bytes: which of many texts begin at this place?

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Texts with a number each, found by their beginnings.
#[derive(Clone, Debug)]
pub struct Trie {
    next: HashMap<(u32, u8), u32, RandomState>,
    value: Vec<Option<u32>>, // by node
    first: [bool; 256],      // whether a text begins with the byte
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            next: HashMap::default(),
            value: vec![None],
            first: [false; 256],
        }
    }
}

impl Trie {
    /// Adds a text that is not empty; a later number of the same text replaces the earlier.
    pub fn insert(&mut self, text: &[u8], number: u32) {
        let Some(first) = text.first() else { return };
        self.first[*first as usize] = true;
        let mut node = 0;
        for byte in text {
            node = *self.next.entry((node, *byte)).or_insert_with(|| {
                self.value.push(None);
                self.value.len() as u32 - 1
            });
        }
        self.value[node as usize] = Some(number);
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.value.len() == 1
    }

    /// The texts `bytes` begins with, shortest first: length and number.
    pub fn prefixes<'t>(&'t self, bytes: &'t [u8]) -> impl Iterator<Item = (usize, u32)> + 't {
        let begins = bytes.first().is_some_and(|b| self.first[*b as usize]);
        let mut node = if begins { Some(0) } else { None };
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                node = self.next.get(&(node?, *bytes.get(at)?)).copied();
                at += 1;
                if let Some(number) = self.value[node? as usize] {
                    return Some((at, number));
                }
            }
        })
    }

    /// The first place from `start` on where a text begins, and the longest one there: begin, end, number.
    pub fn find(&self, bytes: &[u8], start: usize) -> Option<(usize, usize, u32)> {
        if self.is_empty() {
            return None;
        }
        (start..bytes.len()).find_map(|i| {
            if !self.first[bytes[i] as usize] {
                return None;
            }
            let (len, number) = self.prefixes(&bytes[i..]).last()?;
            Some((i, i + len, number))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_the_longest() {
        let mut trie = Trie::default();
        for (text, number) in [("a", 1), ("abc", 2), ("b", 3)] {
            trie.insert(text.as_bytes(), number);
        }
        assert_eq!(trie.prefixes(b"abcd").collect::<Vec<_>>(), [(1, 1), (3, 2)]);
        assert_eq!(trie.prefixes(b"x").count(), 0);
        assert_eq!(trie.find(b"xxabcb", 0), Some((2, 5, 2)));
        assert_eq!(trie.find(b"xxabcb", 5), Some((5, 6, 3)));
        assert_eq!(trie.find(b"xx", 0), None);
    }
}
