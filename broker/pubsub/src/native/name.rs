//! The name of one level, as the trie keeps it. Most names are short, and there are as many as filters: short ones take no room of their own.

use std::fmt;

/// Bytes that fit beside their number and the kind in as much room as a long name takes.
const SHORT_MAX: usize = 22;

/// See the module's documentation.
pub(super) enum Name {
    Short { len: u8, bytes: [u8; SHORT_MAX] },
    Long(Box<[u8]>),
}

impl Name {
    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Name::Long(bytes) => bytes,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(name.as_bytes());
                Name::Short { len, bytes }
            }
            _ => Name::Long(name.as_bytes().into()),
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_are_what_they_were() {
        // Goal: names of every length around the boundary, of more than one byte a character, and none, come back; and a name takes as much as a
        // pointer, a length and a word.
        for len in 0..100 {
            for letter in ["x", "é"] {
                let name = letter.repeat(len);
                assert_eq!(Name::from(&*name).as_bytes(), name.as_bytes());
                assert_eq!(Name::from(&*name), Name::from(&*name));
                assert_ne!(Name::from(&*name), Name::from(&*format!("{name}y")));
            }
        }
        assert_eq!(size_of::<Name>(), 24);
    }
}
