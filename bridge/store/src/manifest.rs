//! The manifest: the one small file that says whose data directory this is.

use std::ops::RangeInclusive;

/// Its name in the data directory.
pub(crate) const MANIFEST: &str = "inboxd-store.toml";
/// Its name while it is written, and the sign of a directory whose creation was interrupted.
pub(crate) const MANIFEST_NEW: &str = "inboxd-store.toml.new";
/// The version of everything in the directory that this build writes.
pub(crate) const FORMAT: u64 = 3;
/// What a broker of this build runs on.
pub(crate) const CURRENT: RangeInclusive<u64> = FORMAT..=FORMAT;
/// What can be read by [`crate::convert`]. In format 1 there is no log: every message is under a key of its own.
pub(crate) const CONVERTIBLE: RangeInclusive<u64> = 1..=FORMAT;
/// Whose directory it is.
const PROGRAM: &str = "inboxd";

/// What a manifest says, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The storage engine's name.
    pub(crate) engine: String,
}

/// Why a manifest is not one that this build can go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManifestError {
    /// Another program's name.
    Program(String),
    /// Another format version.
    Format(u64),
    /// Not a manifest, or an incomplete one.
    Unreadable(&'static str),
}

impl Manifest {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        format!(
            "# The data directory of inboxd. docs/storage-format.md describes it; do not edit.\n\
             program = \"{PROGRAM}\"\nformat = {FORMAT}\nengine = \"{}\"\n",
            self.engine
        )
    }

    /// Reads the text of the file, which is to be of one of `formats`. The program and the format are judged first: what else is
    /// in it depends on them.
    pub(crate) fn parse(text: &str, formats: &RangeInclusive<u64>) -> Result<Self, ManifestError> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
        };
        let string = |name| value(name)?.strip_prefix('"')?.strip_suffix('"');
        match string("program") {
            Some(PROGRAM) => {}
            Some(other) => return Err(ManifestError::Program(other.to_owned())),
            None => return Err(ManifestError::Unreadable("it has no line program = \"inboxd\"")),
        }
        match value("format").map(str::parse) {
            Some(Ok(format)) if formats.contains(&format) => {}
            Some(Ok(other)) => return Err(ManifestError::Format(other)),
            _ => return Err(ManifestError::Unreadable("it has no line format = NUMBER")),
        }
        match string("engine") {
            Some(engine) => Ok(Manifest {
                engine: engine.to_owned(),
            }),
            None => Err(ManifestError::Unreadable("it has no line engine = \"NAME\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a manifest is read back, and one that is not ours says what it is.
    #[test]
    fn a_manifest_is_read_back() {
        let ours = Manifest {
            engine: "sled".to_owned(),
        };
        let text = ours.text();
        assert_eq!(Manifest::parse(&text, &CURRENT), Ok(ours.clone()));
        let older = text.replace("format = 3", "format = 1");
        assert_eq!(Manifest::parse(&older, &CURRENT), Err(ManifestError::Format(1)));
        assert_eq!(Manifest::parse(&older, &CONVERTIBLE), Ok(ours));
        let parse = |from: &str, to: &str| Manifest::parse(&text.replace(from, to), &CONVERTIBLE).unwrap_err();
        assert_eq!(
            parse("\"inboxd\"", "\"other\""),
            ManifestError::Program("other".to_owned())
        );
        assert_eq!(parse("format = 3", "format = 4"), ManifestError::Format(4));
        assert!(matches!(
            parse("format = 3", "format = one"),
            ManifestError::Unreadable(_)
        ));
        assert!(matches!(parse("engine", "motor"), ManifestError::Unreadable(_)));
        for cut in 0..text.len() - 1 {
            assert!(Manifest::parse(&text[..cut], &CURRENT).is_err(), "cut at {cut}");
        }
    }
}
