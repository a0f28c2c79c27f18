//! The codec against mqtt-protocol-core: each reads what the other wrote, and neither takes what the other refuses to
//! understand.

use mqtt_protocol_core::mqtt::packet::{self as core, Property, SubEntry, SubOpts, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::said::{About, Said, owned, said, topic, word};
use crate::encode::{self, AckKind};
use crate::{ConnAck, DecodeError, Packet, PacketId, Version, Will, decode, decode_connect, frame};

/// What follows the fixed header of a whole packet.
fn body(bytes: &[u8]) -> &[u8] {
    assert_eq!(frame(bytes, usize::MAX), Ok(Some(bytes.len())), "one whole packet");
    let length_bytes = bytes[1..].iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    &bytes[1 + length_bytes..]
}

/// Whether the other implementation takes this whole packet of a client, all of it.
fn they_accept(version: Version, bytes: &[u8]) -> bool {
    fn whole<T>(parsed: Result<(T, usize), MqttError>, body: &[u8]) -> bool {
        parsed.is_ok_and(|(_, length)| length == body.len())
    }
    let (first, body) = (bytes[0], body(bytes));
    match (version, first >> 4) {
        (Version::V311, 1) => whole(v3_1_1::Connect::parse(body), body),
        (Version::V311, 3) => whole(v3_1_1::Publish::parse(first & 15, body.into()), body),
        (Version::V311, 4) => whole(v3_1_1::Puback::parse(body), body),
        (Version::V311, 5) => whole(v3_1_1::Pubrec::parse(body), body),
        (Version::V311, 6) => whole(v3_1_1::Pubrel::parse(body), body),
        (Version::V311, 7) => whole(v3_1_1::Pubcomp::parse(body), body),
        (Version::V311, 8) => whole(v3_1_1::Subscribe::parse(body), body),
        (Version::V311, 10) => whole(v3_1_1::Unsubscribe::parse(body), body),
        (Version::V5, 1) => whole(v5_0::Connect::parse(body), body),
        (Version::V5, 3) => whole(v5_0::Publish::parse(first & 15, body.into()), body),
        (Version::V5, 4) => whole(v5_0::Puback::parse(body), body),
        (Version::V5, 5) => whole(v5_0::Pubrec::parse(body), body),
        (Version::V5, 6) => whole(v5_0::Pubrel::parse(body), body),
        (Version::V5, 7) => whole(v5_0::Pubcomp::parse(body), body),
        (Version::V5, 8) => whole(v5_0::Subscribe::parse(body), body),
        (Version::V5, 10) => whole(v5_0::Unsubscribe::parse(body), body),
        (Version::V5, 14) => whole(v5_0::Disconnect::parse(body), body),
        (Version::V5, 15) => whole(v5_0::Auth::parse(body), body),
        _ => true,
    }
}

fn connect_properties(expiry: Option<u32>, maximum: Option<u16>, user: &[(String, String)]) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    properties.extend(expiry.map(|v| core::SessionExpiryInterval::new(v).unwrap().into()));
    properties.extend(maximum.map(|v| core::ReceiveMaximum::new(v).unwrap().into()));
    properties.extend(maximum.map(|v| core::MaximumPacketSize::new(u32::from(v)).unwrap().into()));
    properties.extend(maximum.map(|v| core::TopicAliasMaximum::new(v).unwrap().into()));
    properties.extend(
        user.iter()
            .map(|(name, value)| core::UserProperty::new(name, value).unwrap().into()),
    );
    properties
}

/// A CONNECT by the other implementation with a will like `said` and no user name in MQTT 3.1.1 without a password.
fn their_connect(version: Version, said: &Said, clean: bool, login: Option<(&str, &[u8])>) -> Vec<u8> {
    let (qos, keep_alive) = (said.qos.try_into().unwrap(), said.packet_id);
    // A will has neither of these.
    let about = About {
        alias: None,
        subscription_ids: vec![],
        ..said.about.clone()
    };
    match version {
        Version::V311 => {
            let connect = v3_1_1::Connect::builder()
                .client_id(said.topic.as_str())
                .unwrap()
                .clean_session(clean)
                .keep_alive(keep_alive)
                .will_message(said.topic.as_str(), said.payload.clone(), qos, said.retain)
                .unwrap();
            match login {
                Some((name, password)) => connect.user_name(name).unwrap().password(password.to_vec()).unwrap(),
                None => connect,
            }
            .build()
            .unwrap()
            .to_continuous_buffer()
        }
        Version::V5 => {
            let mut will_properties = about.to_theirs();
            will_properties.extend(about.expiry.map(|v| core::WillDelayInterval::new(v).unwrap().into()));
            let connect = v5_0::Connect::builder()
                .client_id(said.topic.as_str())
                .unwrap()
                .clean_start(clean)
                .keep_alive(keep_alive)
                .props(connect_properties(about.expiry, said.about.alias, &about.user))
                .will_message(said.topic.as_str(), said.payload.clone(), qos, said.retain)
                .unwrap()
                .will_props(will_properties);
            match login {
                Some((name, password)) => connect.user_name(name).unwrap().password(password.to_vec()).unwrap(),
                None => connect,
            }
            .build()
            .unwrap()
            .to_continuous_buffer()
        }
    }
}

fn their_subscribe(version: Version, id: u16, filters: &[(String, u8)], subscription_id: Option<u32>) -> Vec<u8> {
    let entries: Vec<SubEntry> = filters
        .iter()
        .map(|(filter, options)| SubEntry::new(filter.as_str(), SubOpts::from_u8(*options).unwrap()).unwrap())
        .collect();
    let properties: Vec<Property> = subscription_id
        .map(|id| core::SubscriptionIdentifier::new(id).unwrap().into())
        .into_iter()
        .collect();
    match version {
        Version::V311 => v3_1_1::Subscribe::builder()
            .packet_id(id)
            .entries(entries)
            .build()
            .unwrap()
            .to_continuous_buffer(),
        Version::V5 => v5_0::Subscribe::builder()
            .packet_id(id)
            .entries(entries)
            .props(properties)
            .build()
            .unwrap()
            .to_continuous_buffer(),
    }
}

proptest! {
    /// Goal: a PUBLISH of another implementation is read as it was meant (section 3.3).
    #[test]
    fn their_publish_is_read(said in said()) {
        let bytes = said.theirs(Version::V311);
        prop_assert_eq!(frame(&bytes, bytes.len()), Ok(Some(bytes.len())));
        let Ok(Packet::Publish(publish)) = decode(Version::V311, &bytes) else { panic!("{bytes:02x?}") };
        prop_assert_eq!(Said::of_ours(&publish), Said { about: About::default(), ..said.clone() });

        let bytes = said.theirs(Version::V5);
        let Ok(Packet::Publish(publish)) = decode(Version::V5, &bytes) else { panic!("{bytes:02x?}") };
        let about = About { subscription_ids: vec![], ..said.about.clone() };
        prop_assert_eq!(Said::of_ours(&publish), Said { about, ..said });
    }

    /// Goal: another implementation reads our PUBLISH as it was meant, and we read it back (section 3.3).
    #[test]
    fn our_publish_is_read_by_them(said in said()) {
        let bytes = said.ours(Version::V311);
        let (theirs, length) = v3_1_1::Publish::parse(bytes[0] & 15, body(&bytes).into()).unwrap();
        prop_assert_eq!(length, body(&bytes).len());
        prop_assert_eq!(theirs.to_continuous_buffer(), bytes);

        let bytes = said.ours(Version::V5);
        let (theirs, length) = v5_0::Publish::parse(bytes[0] & 15, body(&bytes).into()).unwrap();
        prop_assert_eq!(length, body(&bytes).len());
        let read = Said {
            dup: theirs.dup(),
            qos: theirs.qos() as u8,
            retain: theirs.retain(),
            topic: theirs.topic_name().into(),
            packet_id: theirs.packet_id().unwrap_or(0),
            payload: theirs.payload().as_slice().into(),
            about: About::of_theirs(theirs.props()),
        };
        prop_assert_eq!(&read, &said);

        // Subscription identifiers are for clients only.
        let about = About { subscription_ids: vec![], ..said.about.clone() };
        let said = Said { about, ..said };
        let bytes = said.ours(Version::V5);
        let Ok(Packet::Publish(publish)) = decode(Version::V5, &bytes) else { panic!("{bytes:02x?}") };
        prop_assert_eq!(Said::of_ours(&publish), said);
    }

    /// Goal: a CONNECT of another implementation is read as it was meant (section 3.1).
    #[test]
    fn their_connect_is_read(
        said in said(),
        clean in any::<bool>(),
        login in option::of((word(), vec(any::<u8>(), 0..20))),
    ) {
        let login = login.as_ref().map(|(name, password)| (name.as_str(), password.as_slice()));
        for version in super::BOTH {
            let bytes = their_connect(version, &said, clean, login);
            let connect = decode_connect(&bytes).unwrap();
            prop_assert_eq!(connect.version, version);
            prop_assert_eq!((connect.client_id, connect.keep_alive), (said.topic.as_str(), said.packet_id));
            prop_assert_eq!(connect.clean_start, clean);
            prop_assert_eq!(connect.username.zip(connect.password), login);
            let Will { qos, retain, topic, payload, delay, properties } = connect.will.unwrap();
            prop_assert_eq!((qos as u8, retain), (said.qos, said.retain));
            prop_assert_eq!((topic, payload), (said.topic.as_str(), said.payload.as_slice()));
            if version == Version::V5 {
                let about = &said.about;
                prop_assert_eq!(delay, about.expiry.unwrap_or(0));
                prop_assert_eq!(properties.message_expiry, about.expiry);
                prop_assert_eq!(properties.response_topic, about.response_topic.as_deref());
                prop_assert_eq!(owned(properties.user), about.user.clone());
                let read = connect.properties;
                prop_assert_eq!(read.session_expiry, about.expiry);
                prop_assert_eq!(read.receive_maximum, about.alias);
                prop_assert_eq!(read.maximum_packet_size, about.alias.map(u32::from));
                prop_assert_eq!(read.topic_alias_maximum, about.alias.unwrap_or(0));
            }
        }
    }

    /// Goal: SUBSCRIBE and UNSUBSCRIBE of another implementation are read as they were meant (sections 3.8, 3.10).
    #[test]
    fn their_subscribe_and_unsubscribe_are_read(
        id in 1..=u16::MAX,
        filters in vec((topic(), 0..3_u8, any::<bool>(), any::<bool>(), 0..3_u8), 1..10),
        subscription_id in option::of(1_u32..=268_435_455),
    ) {
        for version in super::BOTH {
            let filters: Vec<(String, u8)> = filters
                .iter()
                .map(|(filter, qos, no_local, retain, handling)| {
                    let more = (u8::from(*no_local) << 2) | (u8::from(*retain) << 3) | (handling << 4);
                    (filter.clone(), if version == Version::V5 { qos | more } else { *qos })
                })
                .collect();
            let bytes = their_subscribe(version, id, &filters, subscription_id);
            let Ok(Packet::Subscribe(subscribe)) = decode(version, &bytes) else { panic!("{bytes:02x?}") };
            prop_assert_eq!(subscribe.packet_id.get(), id);
            let expected_id = subscription_id.filter(|_| version == Version::V5);
            prop_assert_eq!(subscribe.subscription_id.map(Into::into), expected_id);
            let read: Vec<(String, u8)> = subscribe
                .filters
                .iter()
                .map(|(filter, o)| {
                    let more = (u8::from(o.no_local) << 2) | (u8::from(o.retain_as_published) << 3);
                    (filter.into(), (o.qos as u8) | more | ((o.retain_handling as u8) << 4))
                })
                .collect();
            prop_assert_eq!(read, filters.clone());

            let names: Vec<&str> = filters.iter().map(|(filter, _)| filter.as_str()).collect();
            let bytes = match version {
                Version::V311 => v3_1_1::Unsubscribe::builder()
                    .packet_id(id).entries(names.clone()).unwrap().build().unwrap().to_continuous_buffer(),
                Version::V5 => v5_0::Unsubscribe::builder()
                    .packet_id(id).entries(names.clone()).unwrap().build().unwrap().to_continuous_buffer(),
            };
            let Ok(Packet::Unsubscribe(unsubscribe)) = decode(version, &bytes) else { panic!("{bytes:02x?}") };
            prop_assert_eq!(unsubscribe.filters.iter().collect::<Vec<_>>(), names);
        }
    }

    /// Goal: another implementation reads our answers as they were meant (sections 3.2, 3.4 to 3.7, 3.9, 3.11, 3.14).
    #[test]
    fn our_answers_are_read_by_them(
        id in 1..=u16::MAX,
        number in 1..=u16::MAX,
        text in option::of(word()),
        user in vec((word(), word()), 0..4),
        suback_codes in vec(proptest::sample::select(vec![0, 1, 2, 0x80, 0x87, 0x8F]), 1..9),
    ) {
        let packet_id = PacketId::new(id).unwrap();
                let pairs: Vec<(&str, &str)> = user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reason_string = |properties: &[Property]| {
            properties.iter().find_map(|p| match p {
                Property::ReasonString(p) => Some(p.val().to_owned()),
                _ => None,
            })
        };
        let mut out = Vec::new();

        let connack = ConnAck {
            session_present: true,
            session_expiry: Some(u32::from(id)),
            receive_maximum: Some(number),
            assigned_client_id: text.as_deref(),
            reason_string: text.as_deref(),
            topic_alias_maximum: number,
            ..ConnAck::default()
        };
        encode::connack(&mut out, Version::V5, &connack);
        let (theirs, length) = v5_0::Connack::parse(body(&out)).unwrap();
        prop_assert_eq!((length, theirs.session_present(), theirs.reason_code() as u8), (body(&out).len(), true, 0));
        prop_assert_eq!(reason_string(theirs.props()), text.clone());
        prop_assert_eq!(theirs.props().len(), if text.is_some() { 5 } else { 3 });

        for reason in [0, 0x10, 0x87] {
            out.clear();
            encode::ack(&mut out, Version::V5, AckKind::PubAck, packet_id, reason, text.as_deref(), &pairs);
            let (theirs, length) = v5_0::Puback::parse(body(&out)).unwrap();
            prop_assert_eq!(length, body(&out).len());
            prop_assert_eq!((theirs.packet_id(), theirs.reason_code().map_or(0, |code| code as u8)), (id, reason));
            let properties = theirs.props().as_deref().unwrap_or_default();
            prop_assert_eq!(reason_string(properties), text.clone());
            prop_assert_eq!(properties.len(), user.len() + usize::from(text.is_some()));
            let Ok(Packet::PubAck(ours)) = decode(Version::V5, &out) else { panic!("{out:02x?}") };
            prop_assert_eq!((ours.packet_id, ours.reason), (packet_id, reason));
        }

        for version in super::BOTH {
            out.clear();
            encode::suback(&mut out, version, packet_id, &suback_codes, text.as_deref());
            let read: Vec<u8> = match version {
                Version::V311 => {
                    v3_1_1::Suback::parse(body(&out)).unwrap().0.return_codes().iter().map(|&code| code as u8).collect()
                }
                Version::V5 => {
                    v5_0::Suback::parse(body(&out)).unwrap().0.reason_codes().iter().map(|&code| code as u8).collect()
                }
            };
            let failures_are_alike = |&code: &u8| if version == Version::V311 { code.min(0x80) } else { code };
            prop_assert_eq!(read, suback_codes.iter().map(failures_are_alike).collect::<Vec<_>>());
        }

        out.clear();
        encode::unsuback(&mut out, Version::V5, packet_id, &[0, 0x11]);
        let theirs = v5_0::Unsuback::parse(body(&out)).unwrap().0;
        prop_assert_eq!(theirs.packet_id(), id);
        prop_assert_eq!(theirs.reason_codes().iter().map(|&code| code as u8).collect::<Vec<_>>(), [0, 0x11]);

        for reason in [0, 0x8B, 0x8E] {
            out.clear();
            encode::disconnect(&mut out, Version::V5, reason, text.as_deref());
            let (theirs, length) = v5_0::Disconnect::parse(body(&out)).unwrap();
            prop_assert_eq!(length, body(&out).len());
            prop_assert_eq!(theirs.reason_code().map_or(0, |code| code as u8), reason);
            prop_assert_eq!(reason_string(theirs.props().as_deref().unwrap_or_default()), text.clone());
        }
    }

    /// Goal: being strict. A good packet with a few bytes changed that we still take is one that they can read too.
    #[test]
    fn what_we_accept_they_accept(
        mut said in said(),
        which in 0..5,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        // A short body, so that the changes hit something that matters.
        said.payload.truncate(20);
        for version in super::BOTH {
            let filter = (said.topic.clone(), said.qos);
            let mut bytes = match which {
                0 => said.theirs(version),
                1 => their_connect(version, &said, true, Some(("me", b"secret"))),
                2 => their_subscribe(version, 9, &[filter.clone(), filter], Some(7)),
                3 => super::packet(0x40, &[&[0, 9, 0x10], &super::block(&[&super::user("a", "b")])]),
                _ => super::packet(0xE0, &[&[0], &super::block(&[&[0x11, 0, 0, 0, 1], &super::user("a", "b")])]),
            };
            for (index, byte) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            if frame(&bytes, usize::MAX) != Ok(Some(bytes.len())) {
                continue;
            }
            let ours: Result<Version, DecodeError> = match bytes[0] >> 4 {
                1 => decode_connect(&bytes).map(|connect| connect.version),
                _ => decode(version, &bytes).map(|_| version),
            };
            if let Ok(version) = ours {
                prop_assert!(they_accept(version, &bytes), "{:?} {:02x?}", version, bytes);
            }
        }
    }
}
