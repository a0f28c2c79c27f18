//! What messages of every kind have on disk in common: their properties, and bytes, as MessagePack.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::age::{Age, Expiry};
use crate::message::{PayloadFormat, Properties};

/// The properties of a message, in their order on disk. A change of any kind is a new version of every record that has them.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireProperties<'a> {
    #[serde(with = "payload_format")]
    payload_format: Option<PayloadFormat>,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    #[serde(borrow)]
    correlation_data: Option<Bin<'a>>,
    user: Vec<(&'a str, &'a str)>,
}

/// When an ordinary message expires: the age of the store at which it was accepted and how long it lives from then on, both in microseconds, and the interval that
/// its publisher gave, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireExpiry(u64, u64, Option<u32>);

impl From<Expiry> for WireExpiry {
    fn from(expiry: Expiry) -> Self {
        WireExpiry(expiry.accepted().0, expiry.lives(), expiry.interval())
    }
}

impl From<WireExpiry> for Expiry {
    fn from(WireExpiry(accepted, lives, interval): WireExpiry) -> Self {
        Expiry::of(Age(accepted), lives, interval)
    }
}

/// Bytes as MessagePack's `bin`; serde alone would write an array of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin<'a>(pub &'a [u8]);

impl Serialize for Bin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bin<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Bin)
    }
}

impl<'a> From<&'a Properties> for WireProperties<'a> {
    fn from(said: &'a Properties) -> Self {
        WireProperties {
            payload_format: said.payload_format,
            content_type: said.content_type.as_deref(),
            response_topic: said.response_topic.as_deref(),
            correlation_data: said.correlation_data.as_deref().map(Bin),
            user: said.user.iter().map(|(name, value)| (&**name, &**value)).collect(),
        }
    }
}

impl From<WireProperties<'_>> for Properties {
    fn from(wire: WireProperties<'_>) -> Self {
        let user = wire.user.into_iter();
        Properties {
            payload_format: wire.payload_format,
            content_type: wire.content_type.map(Into::into),
            response_topic: wire.response_topic.map(Into::into),
            correlation_data: wire.correlation_data.map(|data| Bytes::copy_from_slice(data.0)),
            user: user.map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}

/// The payload format: `false` for none and `true` for UTF-8, as builds that knew only these wrote it, and the integer 0 for
/// the indicator 0.
mod payload_format {
    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    use crate::PayloadFormat;

    pub(super) fn serialize<S: Serializer>(format: &Option<PayloadFormat>, serializer: S) -> Result<S::Ok, S::Error> {
        match format {
            None => serializer.serialize_bool(false),
            Some(PayloadFormat::Utf8) => serializer.serialize_bool(true),
            Some(PayloadFormat::Bytes) => serializer.serialize_u8(0),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PayloadFormat>, D::Error> {
        deserializer.deserialize_any(Said)
    }

    struct Said;

    impl Visitor<'_> for Said {
        type Value = Option<PayloadFormat>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("false, true or 0")
        }

        fn visit_bool<E: Error>(self, is_utf8: bool) -> Result<Self::Value, E> {
            Ok(is_utf8.then_some(PayloadFormat::Utf8))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            match value {
                0 => Ok(Some(PayloadFormat::Bytes)),
                _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
            }
        }
    }
}
