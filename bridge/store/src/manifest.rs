//! The manifest: the one small file that says whose data directory this is.

use std::ops::RangeInclusive;

use toml::{Table, Value};

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
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ManifestError {
    /// Another program's name.
    Program(Box<str>),
    /// Another format version.
    Format(u64),
    /// Not a manifest, or an incomplete one.
    Unreadable(UnreadableManifest),
}

/// Why a file is no manifest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum UnreadableManifest {
    #[error("{MANIFEST}: it is no TOML ({})", .0.message())]
    Toml(#[source] toml::de::Error),
    #[error("{MANIFEST}: it has no line {0}")]
    Without(&'static str),
}

impl Manifest {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        // Written out, because it is to be the same to the byte whatever a later version of a library prefers. Names of engines are plain words.
        format!(
            "# The data directory of inboxd. docs/storage-format.md describes it; do not edit.\n\
             program = \"{PROGRAM}\"\nformat = {FORMAT}\nengine = \"{}\"\n",
            self.engine
        )
    }

    /// Reads the text of the file, which is to be of one of `formats`. The program and the format are judged first: what else is
    /// in it depends on them.
    pub(crate) fn parse(text: &str, formats: &RangeInclusive<u64>) -> Result<Self, ManifestError> {
        let unreadable = |why| Err(ManifestError::Unreadable(why));
        let lines: Table = match text.parse() {
            Ok(lines) => lines,
            Err(why) => return unreadable(UnreadableManifest::Toml(why)),
        };
        match lines.get("program").and_then(Value::as_str) {
            Some(PROGRAM) => {}
            Some(other) => return Err(ManifestError::Program(other.into())),
            None => return unreadable(UnreadableManifest::Without("program = \"inboxd\"")),
        }
        let format = lines.get("format").and_then(Value::as_integer);
        match format.and_then(|format| u64::try_from(format).ok()) {
            Some(format) if formats.contains(&format) => {}
            Some(other) => return Err(ManifestError::Format(other)),
            None => return unreadable(UnreadableManifest::Without("format = NUMBER")),
        }
        match lines.get("engine").and_then(Value::as_str) {
            Some(engine) => Ok(Manifest {
                engine: engine.to_owned(),
            }),
            None => unreadable(UnreadableManifest::Without("engine = \"NAME\"")),
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
        assert_eq!(parse("\"inboxd\"", "\"other\""), ManifestError::Program("other".into()));
        assert_eq!(parse("format = 3", "format = 4"), ManifestError::Format(4));
        assert!(matches!(
            parse("format = 3", "format = one"),
            ManifestError::Unreadable(_)
        ));
        assert!(matches!(parse("engine", "motor"), ManifestError::Unreadable(_)));
        // A manifest is judged by what it says, however a person wrote it.
        let by_hand = "engine='sled'\n\nformat = 3 # three\nprogram = \"inboxd\"";
        assert_eq!(Manifest::parse(by_hand, &CURRENT), Manifest::parse(&text, &CURRENT));
        for cut in 0..text.len() - 1 {
            assert!(Manifest::parse(&text[..cut], &CURRENT).is_err(), "cut at {cut}");
        }
    }
}
