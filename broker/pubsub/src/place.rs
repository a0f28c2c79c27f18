//! Where a subscription is listed: by names, which stay what they are when tables change. They are in one text, as a client would write them: there are very
//! many such lists, and few of what is in them is shared.

use arcstr::ArcStr;

/// What the text of a shared subscription begins with. No other filter does (MQTT-4.8.2-1).
const SHARE_PREFIX: &str = "$share/";

/// See the module's documentation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place(ArcStr);

impl Place {
    pub(super) fn new(filter: ArcStr, share: Option<&str>) -> Self {
        match share {
            None => Place(filter),
            Some(share) => Place(arcstr::format!("{SHARE_PREFIX}{share}/{filter}")),
        }
    }

    pub(super) fn filter(&self) -> &str {
        self.shared().map_or(&self.0, |(_, filter)| filter)
    }

    pub(super) fn share(&self) -> Option<&str> {
        self.shared().map(|(share, _)| share)
    }

    fn shared(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(SHARE_PREFIX)?.split_once('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_what_it_was_told() {
        // Goal: filter and share come out as they went in, filters that begin with $ and with nothing too; and a list has a place in 16 bytes, with its number.
        for filter in ["a/b", "$SYS/#", "/", "+/$share/x"] {
            let of = |share| Place::new(filter.into(), share);
            assert_eq!((of(None).filter(), of(None).share()), (filter, None));
            assert_eq!((of(Some("s")).filter(), of(Some("s")).share()), (filter, Some("s")));
        }
        assert_eq!(size_of::<(u32, Place)>(), 16);
    }
}
