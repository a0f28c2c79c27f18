//! What a client publishes, as it is kept.

use bytes::Bytes;
use intake::Publication;
use mqtt_codec::Publish;

use super::link::own_properties;

/// What a client says, as it is kept.
pub(super) fn said(publish: &Publish<'_>, payload: Bytes) -> Publication {
    Publication {
        qos: publish.qos,
        retain: publish.retain,
        message_expiry: publish.properties.message_expiry,
        payload,
        properties: own_properties(&publish.properties),
    }
}
