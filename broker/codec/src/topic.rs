//! Topic names and topic filters (MQTT 5, sections 4.7 and 4.8.2).

use arcstr::ArcStr;

/// What a shared subscription begins with (MQTT-4.8.2-1).
pub(super) const SHARE_PREFIX: &str = "$share/";

/// Longest topic name or filter in bytes (MQTT-4.7.3-3).
const TOPIC_BYTES_MAX: usize = 65_535;

/// Why `topic`, a string that MQTT allows, is no topic name; `None` when it is one.
pub fn topic_name_fault(topic: &str) -> Option<&'static str> {
    if topic.is_empty() {
        return Some("a topic name must not be empty (MQTT-4.7.3-1)");
    }
    // Without an early exit this is a few vector instructions; topics are short.
    let wildcard = topic
        .bytes()
        .fold(false, |wildcard, byte| wildcard | (byte == b'+') | (byte == b'#'));
    wildcard.then_some("a topic name must not hold the wildcards + and # (MQTT-4.7.1-1, MQTT-3.3.2-2)")
}

/// A valid topic filter, possibly of a shared subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    /// As the client wrote it. Shared, because whoever finds subscriptions by their filters keeps it, too.
    text: ArcStr,
}

/// Why a string is not a [`TopicFilter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No characters.
    #[error("a topic filter must not be empty (MQTT-4.7.3-1)")]
    Empty,
    /// More than 65,535 bytes.
    #[error("a topic filter must not have more than 65,535 bytes (MQTT-4.7.3-3)")]
    TooLong,
    /// U+0000.
    #[error("a topic filter must not hold U+0000 (MQTT-4.7.3-2)")]
    Nul,
    /// `#` beside other characters, or before the last level.
    #[error("the wildcard # must be alone in the last level of a topic filter (MQTT-4.7.1-1)")]
    MultiLevelWildcard,
    /// `+` beside other characters.
    #[error("the wildcard + must be alone in its level of a topic filter (MQTT-4.7.1-2)")]
    SingleLevelWildcard,
    /// `$share/` and no valid name.
    #[error("a shared subscription needs a name without / + # behind $share/ (MQTT-4.8.2-1, MQTT-4.8.2-2)")]
    ShareName,
    /// `$share/{name}` and no filter.
    #[error("a shared subscription needs a topic filter behind its name (MQTT-4.8.2-2)")]
    ShareFilter,
}

impl TopicFilter {
    /// Checks `text` and takes a copy of it.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        check_filter(text)?;
        Ok(TopicFilter { text: text.into() })
    }

    /// Checks `text`, and keeps it.
    ///
    /// # Errors
    /// See [`FilterError`].
    pub fn of(text: ArcStr) -> Result<Self, FilterError> {
        check_filter(&text)?;
        Ok(TopicFilter { text })
    }

    /// As the client wrote it, `$share/{name}/` included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, to be kept.
    pub fn to_text(&self) -> ArcStr {
        self.text.clone()
    }

    /// The share name of a shared subscription.
    pub fn share_group(&self) -> Option<&str> {
        let (name, _filter) = self.text.strip_prefix(SHARE_PREFIX)?.split_once('/')?;
        Some(name)
    }

    /// The filter that messages are matched with, without `$share/{name}/`.
    pub fn filter(&self) -> &str {
        let shared = self.text.strip_prefix(SHARE_PREFIX);
        shared
            .and_then(|shared| shared.split_once('/'))
            .map_or(&self.text, |(_name, filter)| filter)
    }

    /// The same, to be kept: without a copy, unless the subscription is shared.
    pub fn to_filter(&self) -> ArcStr {
        match self.share_group() {
            None => self.text.clone(),
            Some(_) => self.filter().into(),
        }
    }

    /// Whether the filter has a `+` or `#`, and so can match more than one topic.
    pub fn has_wildcards(&self) -> bool {
        self.filter().contains(['+', '#'])
    }

    /// Whether the filter matches the topic name `topic` (section 4.7). A wildcard in the first level matches no topic
    /// that begins with `$` (MQTT-4.7.2-1).
    pub fn matches(&self, topic: &str) -> bool {
        let filter = self.filter();
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in filter.split('/') {
            match (wanted, levels.next()) {
                // Also the parent level: `sport/#` matches `sport` (section 4.7.1.2).
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

fn check_filter(text: &str) -> Result<(), FilterError> {
    if text.is_empty() {
        return Err(FilterError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(FilterError::TooLong);
    }
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    let filter = match text.strip_prefix(SHARE_PREFIX) {
        Some(shared) => filter_of_share(shared)?,
        None if text == "$share" => return Err(FilterError::ShareName),
        None => text,
    };
    check_wildcards(filter)
}

/// The filter in `{name}/{filter}`, which is what follows `$share/`.
fn filter_of_share(shared: &str) -> Result<&str, FilterError> {
    let (name, filter) = match shared.split_once('/') {
        Some((name, filter)) => (name, filter),
        None => (shared, ""),
    };
    if name.is_empty() || name.contains(['+', '#']) {
        return Err(FilterError::ShareName);
    }
    if filter.is_empty() {
        return Err(FilterError::ShareFilter);
    }
    Ok(filter)
}

/// Wildcards stand alone in their level, and `#` only in the last one (MQTT-4.7.1-1, MQTT-4.7.1-2).
fn check_wildcards(filter: &str) -> Result<(), FilterError> {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(FilterError::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(FilterError::SingleLevelWildcard);
        }
    }
    Ok(())
}
