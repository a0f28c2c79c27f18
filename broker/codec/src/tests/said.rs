//! Messages to compare codecs with: made up by proptest, written by either side, read from either side.

use inbox_types::Qos;
use mqtt_protocol_core::mqtt::packet::{self as core, PayloadFormat, Property, v3_1_1, v5_0};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{PacketId, Publish, PublishOut, UserProperties, Version, encode};

/// A message with everything that can be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    pub packet_id: u16,
    pub payload: Vec<u8>,
    pub about: About,
}

/// The properties of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct About {
    pub utf8: Option<bool>,
    pub expiry: Option<u32>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub alias: Option<u16>,
    pub subscription_ids: Vec<u32>,
    pub user: Vec<(String, String)>,
}

pub(super) fn topic() -> impl Strategy<Value = String> {
    "[a-zäß€🦀$][a-z0-9/ $]{0,20}"
}

pub(super) fn word() -> impl Strategy<Value = String> {
    "[ -~äß€🦀]{0,12}"
}

/// Mostly short, sometimes long enough for a remaining length of two or three bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..100), 1 => (0..20_000_usize).prop_map(|length| vec![7; length])]
}

prop_compose! {
    fn about()(
        utf8 in option::of(any::<bool>()),
        expiry in option::of(any::<u32>()),
        content_type in option::of(word()),
        response_topic in option::of(topic()),
        correlation in option::of(vec(any::<u8>(), 0..20)),
        alias in option::of(1..=u16::MAX),
        subscription_ids in vec(1_u32..=268_435_455, 0..3),
        user in vec((word(), word()), 0..8),
    ) -> About {
        About { utf8, expiry, content_type, response_topic, correlation, alias, subscription_ids, user }
    }
}

prop_compose! {
    pub(super) fn said()(
        dup in any::<bool>(),
        qos in 0..3_u8,
        retain in any::<bool>(),
        topic in topic(),
        packet_id in 1..=u16::MAX,
        payload in payload(),
        about in about(),
    ) -> Said {
        let (dup, packet_id) = if qos == 0 { (false, 0) } else { (dup, packet_id) };
        Said { dup, qos, retain, topic, packet_id, payload, about }
    }
}

impl About {
    pub(super) fn of_theirs(properties: &[Property]) -> Self {
        let mut about = About::default();
        for property in properties {
            match property {
                Property::PayloadFormatIndicator(p) => about.utf8 = Some(p.val() == 1),
                Property::MessageExpiryInterval(p) => about.expiry = Some(p.val()),
                Property::ContentType(p) => about.content_type = Some(p.val().into()),
                Property::ResponseTopic(p) => about.response_topic = Some(p.val().into()),
                Property::CorrelationData(p) => about.correlation = Some(p.val().into()),
                Property::TopicAlias(p) => about.alias = Some(p.val()),
                Property::SubscriptionIdentifier(p) => about.subscription_ids.push(p.val()),
                Property::UserProperty(p) => about.user.push((p.key().into(), p.val().into())),
                other => panic!("unexpected {other}"),
            }
        }
        about
    }

    pub(super) fn to_theirs(&self) -> Vec<Property> {
        let mut properties: Vec<Property> = Vec::new();
        let user = |(name, value): &(String, String)| core::UserProperty::new(name, value).unwrap().into();
        // One user property first, to have something else between them.
        properties.extend(self.user.first().map(user));
        properties.extend(self.utf8.map(|utf8| {
            let format = if utf8 {
                PayloadFormat::String
            } else {
                PayloadFormat::Binary
            };
            core::PayloadFormatIndicator::new(format).unwrap().into()
        }));
        properties.extend(self.expiry.map(|v| core::MessageExpiryInterval::new(v).unwrap().into()));
        properties.extend(self.alias.map(|v| core::TopicAlias::new(v).unwrap().into()));
        properties.extend(
            self.content_type
                .as_ref()
                .map(|v| core::ContentType::new(v).unwrap().into()),
        );
        properties.extend(
            self.response_topic
                .as_ref()
                .map(|v| core::ResponseTopic::new(v).unwrap().into()),
        );
        properties.extend(
            self.correlation
                .as_ref()
                .map(|v| core::CorrelationData::new(v.clone()).unwrap().into()),
        );
        properties.extend(self.user.iter().skip(1).map(user));
        properties
    }
}

impl Said {
    pub(super) fn of_ours(publish: &Publish<'_>) -> Self {
        let properties = publish.properties;
        Said {
            dup: publish.dup,
            qos: publish.qos as u8,
            retain: publish.retain,
            topic: publish.topic.into(),
            packet_id: publish.packet_id.map_or(0, PacketId::get),
            payload: publish.payload.into(),
            about: About {
                utf8: properties
                    .payload_format
                    .map(|format| format == inbox_types::PayloadFormat::Utf8),
                expiry: properties.message_expiry,
                content_type: properties.content_type.map(Into::into),
                response_topic: properties.response_topic.map(Into::into),
                correlation: properties.correlation_data.map(Into::into),
                alias: publish.topic_alias.map(Into::into),
                subscription_ids: Vec::new(),
                user: owned(properties.user),
            },
        }
    }

    pub(super) fn theirs(&self, version: Version) -> Vec<u8> {
        let id = (self.qos > 0).then_some(self.packet_id);
        match version {
            Version::V311 => v3_1_1::Publish::builder()
                .topic_name(self.topic.as_str())
                .unwrap()
                .qos(self.qos.try_into().unwrap())
                .dup(self.dup)
                .retain(self.retain)
                .packet_id(id)
                .payload(&self.payload)
                .build()
                .unwrap()
                .to_continuous_buffer(),
            Version::V5 => v5_0::Publish::builder()
                .topic_name(self.topic.as_str())
                .unwrap()
                .qos(self.qos.try_into().unwrap())
                .dup(self.dup)
                .retain(self.retain)
                .packet_id(id)
                .props(self.about.to_theirs())
                .payload(&self.payload)
                .build()
                .unwrap()
                .to_continuous_buffer(),
        }
    }

    pub(super) fn ours(&self, version: Version) -> Vec<u8> {
        let about = &self.about;
        let (own, stored) = about.user.split_at(about.user.len() / 2);
        let own: Vec<(&str, &str)> = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let stored: Vec<(Box<str>, Box<str>)> = stored
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect();
        let publish = PublishOut {
            dup: self.dup,
            qos: Qos::from_u8(self.qos).unwrap(),
            retain: self.retain,
            topic: &self.topic,
            packet_id: PacketId::new(self.packet_id),
            topic_alias: about.alias,
            subscription_ids: &about.subscription_ids,
            message_expiry: about.expiry,
            payload_format: about
                .utf8
                .map(|utf8| inbox_types::PayloadFormat::from_u8(utf8.into()).unwrap()),
            content_type: about.content_type.as_deref(),
            response_topic: about.response_topic.as_deref(),
            correlation_data: about.correlation.as_deref(),
            own_user: &own,
            user: &stored,
            payload: &self.payload,
        };
        let mut out = Vec::new();
        encode::publish(&mut out, version, &publish);
        assert_eq!(out.len(), encode::publish_len(version, &publish));
        out
    }
}

pub(super) fn owned(user: UserProperties<'_>) -> Vec<(String, String)> {
    user.iter().map(|(name, value)| (name.into(), value.into())).collect()
}
