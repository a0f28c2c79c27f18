use inbox_types::{Age, PayloadFormat, Properties};
use proptest::prelude::*;

use super::*;

fn options() -> impl Strategy<Value = SubscriptionOptions> {
    (0..3_u8, any::<bool>(), any::<bool>(), 0..3_u8).prop_map(|(qos, no_local, retain_as_published, handling)| {
        SubscriptionOptions {
            qos: Qos::from_u8(qos).unwrap(),
            no_local,
            retain_as_published,
            retain_handling: [
                RetainHandling::Send,
                RetainHandling::SendIfNew,
                RetainHandling::DoNotSend,
            ][usize::from(handling)],
        }
    })
}

fn properties() -> impl Strategy<Value = Properties> {
    let text = || prop::option::of("[a-zä]{0,9}".prop_map(Box::<str>::from));
    let user = prop::collection::vec(
        ("[a-z]{1,4}", "[a-z]{0,4}").prop_map(|(name, value)| (name.into(), value.into())),
        0..3,
    );
    let data = prop::option::of(prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from));
    (prop::option::of(0..2_u8), text(), text(), data, user).prop_map(
        |(format, content_type, response_topic, correlation_data, user)| Properties {
            payload_format: format.and_then(PayloadFormat::from_u8),
            content_type,
            response_topic,
            correlation_data,
            user,
        },
    )
}

fn message() -> impl Strategy<Value = OrdinaryMessage> {
    (
        "[a-z/]{1,20}",
        any::<bool>(),
        1..3_u8,
        prop::option::of((any::<u32>(), any::<u32>(), prop::option::of(any::<u32>()))),
        prop::collection::vec(any::<u8>(), 0..100),
        prop::option::of(properties()),
    )
        .prop_map(|(topic, retain, qos, expiry, payload, properties)| OrdinaryMessage {
            topic: topic.into(),
            retain,
            qos: Qos::from_u8(qos).unwrap(),
            from: ClientId::new("alice").unwrap(),
            expiry: expiry.map(|(accepted, lives, interval)| Expiry::of(Age(accepted.into()), lives.into(), interval)),
            payload: payload.into(),
            properties: properties.map(Box::new),
        })
}

fn budget() -> Arc<MemoryBudget> {
    MemoryBudget::new(usize::MAX)
}

proptest! {
    #[test]
    fn what_is_written_is_read(options in options(), id in prop::option::of(any::<u32>()), number: u32, message in message(), left: Option<u64>, packet_ids: Option<(u16, u16)>) {
        // Goal: every record says after a restart what it said before.
        let head = Head { expiry: number, left, packet_ids };
        prop_assert_eq!(read_head(&write_head(&head)).unwrap(), head);
        let kept = KeptSubscription { filter: "$share/g/a/+".into(), options, subscription_id: id };
        prop_assert_eq!(read_subscription(&write_subscription(&kept)).unwrap(), kept);
        for (subscription, retained) in [(number & !3, false), (number & !3 | 2, false), (number & !3 | 2, true)] {
            let read = read_queued(&write_queued(subscription, retained, &message), &budget()).unwrap();
            prop_assert_eq!(read, (subscription, retained, message.clone()));
        }
        prop_assert!(is_nil(&write_nil()) && !is_nil(&write_queued(number, false, &message)));
        prop_assert!(read_queued(&write_nil(), &budget()).is_err());
    }

    #[test]
    fn damage_is_an_error(message in message(), at: prop::sample::Index, bit in 0..8_u32, cut: prop::sample::Index) {
        // Goal: a record that is cut off, or goes on, is never taken for one; one with a flipped bit is refused or is another one, and nothing panics.
        let written = write_queued(9, false, &message);
        prop_assert!(read_queued(&written[..cut.index(written.len())], &budget()).is_err());
        prop_assert!(read_queued(&[&written[..], &[0]].concat(), &budget()).is_err());
        let mut flipped = written.to_vec();
        flipped[at.index(written.len())] ^= 1 << bit;
        if let Ok((subscription, retained, read)) = read_queued(&flipped, &budget()) {
            prop_assert_eq!(write_queued(subscription, retained, &read), flipped);
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        // Goal: nothing that a disk can hold makes the broker panic.
        let _read = (read_head(&bytes).is_ok(), read_subscription(&bytes).is_ok(), read_queued(&bytes, &budget()).is_ok());
    }
}
