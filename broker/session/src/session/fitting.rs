//! PUBLISH for the client, in a form that fits its Maximum Packet Size.

use inbox_types::{Properties, Qos};
use mqtt_codec::{PacketId, PublishOut, encode};

use super::Link;
use super::aliases::TopicOut;

/// What every PUBLISH says, whatever it is about.
pub(super) fn publish_out<'a>(
    properties: Option<&'a Properties>,
    dup: bool,
    qos: Qos,
    retain: bool,
    packet_id: Option<PacketId>,
    payload: &'a [u8],
) -> PublishOut<'a> {
    PublishOut {
        dup,
        qos,
        retain,
        topic: "",
        packet_id,
        topic_alias: None,
        subscription_ids: &[],
        message_expiry: None,
        payload_format: properties.and_then(|said| said.payload_format),
        content_type: properties.and_then(|said| said.content_type.as_deref()),
        response_topic: properties.and_then(|said| said.response_topic.as_deref()),
        correlation_data: properties.and_then(|said| said.correlation_data.as_deref()),
        own_user: &[],
        user: properties.map_or(&[], |said| &said.user),
        payload,
    }
}

/// Encodes `publish` about `topic`: with a topic alias, or, where only that fits the client's Maximum Packet Size, with the topic alone
/// (MQTT-3.1.2-24). Tells whether either fits. A new alias makes a packet larger, and so does a known one for a very short topic.
pub(super) fn write_fitting<'t>(
    out: &mut Vec<u8>,
    link: &mut Link,
    topic: &'t str,
    mut publish: PublishOut<'t>,
) -> bool {
    let mut form = link.aliases.topic_out(topic);
    (publish.topic, publish.topic_alias) = (form.topic, form.alias);
    if !fits(link, &publish) {
        form = TopicOut { topic, alias: None };
        (publish.topic, publish.topic_alias) = (topic, None);
        if !fits(link, &publish) {
            return false;
        }
    }
    encode::publish(out, link.version, &publish);
    link.aliases.sent(topic, &form);
    true
}

fn fits(link: &Link, publish: &PublishOut<'_>) -> bool {
    link.packet_bytes_max == u32::MAX || encode::publish_len(link.version, publish) <= link.packet_bytes_max as usize
}
