//! What the broker tells of messages, word by word: with a broker that says just what a test wants.

use std::time::Duration;

use inbox_client::{
    ConnectError, DropReason, Event, Inbox, InboxOptions, NotToldWhy, Pauses, Recalled, Refusal, RequestError, Sent,
    SentState, Status, StopReason, Stored, Undelivered,
};
use inbox_tests::{Guest, Props, Publish, PublishPacket, ScriptedBroker, property};
use tempfile::tempdir;

use crate::{on_disk, options, within};

/// What CONNACK of inboxd says.
fn inboxd() -> Props {
    Props::new().user("epoch", "00112233aabbccdd")
}

/// What it says of a message that it has on its disk.
fn stored() -> Props {
    Props::new().user("seq", "7").user("state", "stored")
}

/// An inbox and the broker's end of its connection.
async fn meet(broker: &ScriptedBroker, options: InboxOptions, props: Props) -> (Inbox, Guest) {
    let inbox = Inbox::open(options).await.unwrap();
    let guest = tokio::task::block_in_place(|| broker.welcome(&props));
    within(inbox.first_attempt()).await.unwrap();
    (inbox, guest)
}

/// Sends to bob, up to the PUBLISH.
async fn send(alice: &Inbox, guest: &mut Guest, text: &str) -> (Sent, Publish) {
    let sent = within(alice.send("bob", text)).await.unwrap();
    let publish = tokio::task::block_in_place(|| guest.publish());
    assert_eq!((publish.text(), publish.topic.as_str()), (text, "bob"));
    (sent, publish)
}

/// A message of the broker's with a receipt of bob's message.
fn receipt(packet_id: u16, id: &str, state: &str) -> PublishPacket {
    let body =
        format!(r#"{{"notice":"receipt","receipts":[{{"at":1,"id":"{id}","seq":7,"topic":"bob","state":{state}}}]}}"#);
    let props = said("$inboxd", "receipts are ids, too", 9).user("$inboxd", "receipt");
    PublishPacket::new("alice", body, 1, packet_id).retain().props(props)
}

/// What inboxd says of a message.
fn said(from: &str, id: &str, seq: u64) -> Props {
    let props = Props::new().user("id", id).user("seq", &seq.to_string());
    props.user("from", from).user("at", "1764090000250000")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_brokers_receipts_say_delivered_and_read() {
    // Goal: a message asks for its receipts; a forged one is mail and changes nothing; the broker's resolve what was asked, and are acknowledged, and
    // are not handed to the application.
    let broker = ScriptedBroker::new();
    let (alice, mut guest) = meet(&broker, options(broker.port(), "alice"), inboxd()).await;
    let (sent, publish) = send(&alice, &mut guest, "hello").await;
    assert_eq!(publish.props.user("id"), Some(sent.id()));
    assert_eq!(publish.props.user("receipt"), Some("delivered,read"));
    assert_eq!(publish.props.text(property::RESPONSE_TOPIC), Some("alice"));
    assert_eq!(sent.state(), SentState::Waiting);
    guest.acknowledge(&publish, 0, &stored());
    assert_eq!(within(sent.stored()).await, Ok(Stored { seq: Some(7) }));
    for (packet_id, from, mark) in [(1, "mallory", "x"), (2, "mallory", "$inboxd")] {
        let mut forged = receipt(packet_id, sent.id(), r#""delivered""#);
        forged.props = said(from, &packet_id.to_string(), 8).user(mark, "receipt");
        guest.deliver(&forged);
        let mail = within(alice.recv()).await.unwrap();
        assert_eq!(mail.from, "mallory");
        within(mail.ack()).await.unwrap();
        assert_eq!(guest.puback(), (packet_id, 0));
    }
    let mut unmarked = receipt(3, sent.id(), r#""delivered""#);
    unmarked.props = said("$inboxd", "unmarked", 9);
    guest.deliver(&unmarked);
    assert_eq!(guest.puback(), (3, 0));
    assert_eq!(sent.state(), SentState::Stored(Stored { seq: Some(7) }));
    guest.deliver(&receipt(4, sent.id(), r#""delivered""#));
    assert_eq!(guest.puback(), (4, 0));
    assert_eq!(within(sent.delivered()).await, Ok(()));
    assert_eq!(sent.state(), SentState::Delivered);
    guest.deliver(&receipt(5, "of another message", r#""read""#));
    guest.deliver(&receipt(6, sent.id(), r#""read""#));
    assert_eq!([guest.puback(), guest.puback()], [(5, 0), (6, 0)]);
    assert_eq!(within(sent.read()).await, Ok(()));
    assert!(alice.outbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_come_to_the_next_life_of_the_program_too() {
    // Goal: what waits for receipts is kept; a receipt that was not acknowledged comes again and harms nothing.
    let broker = ScriptedBroker::new();
    let folder = tempdir().unwrap();
    let (alice, mut guest) = meet(&broker, on_disk(broker.port(), "alice", &folder), inboxd()).await;
    let (sent, publish) = send(&alice, &mut guest, "hello").await;
    guest.acknowledge(&publish, 0, &stored());
    within(sent.stored()).await.unwrap();
    within(alice.close(Duration::from_secs(5))).await.unwrap();
    assert_eq!(within(sent.delivered()).await, Err(Undelivered::Closed));
    let (alice, mut guest) = meet(&broker, on_disk(broker.port(), "alice", &folder), inboxd()).await;
    let known = alice.outbox();
    assert_eq!((known.len(), known[0].id()), (1, sent.id()));
    assert_eq!(within(known[0].stored()).await, Ok(Stored { seq: Some(7) }));
    guest.deliver(&receipt(1, sent.id(), r#""delivered""#));
    guest.puback();
    assert_eq!(within(known[0].delivered()).await, Ok(()));
    drop(guest);
    let mut guest = tokio::task::block_in_place(|| broker.welcome(&inboxd()));
    guest.deliver(&receipt(1, sent.id(), r#""delivered""#));
    guest.deliver(&receipt(2, sent.id(), r#""read""#));
    assert_eq!([guest.puback(), guest.puback()], [(1, 0), (2, 0)]);
    assert_eq!(within(known[0].read()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_a_message_has_its_name() {
    // Goal: PUBACK with `delivered`; a receipt before PUBACK; expired, dropped, refused; a broker without receipts; final refusals.
    let broker = ScriptedBroker::new();
    let (alice, mut guest) = meet(&broker, options(broker.port(), "alice"), inboxd()).await;
    let (sent, publish) = send(&alice, &mut guest, "acknowledged at once").await;
    guest.acknowledge(&publish, 0, &Props::new().user("seq", "7").user("state", "delivered"));
    assert_eq!(within(sent.delivered()).await, Ok(()));
    let (sent, publish) = send(&alice, &mut guest, "told before it is acknowledged").await;
    guest.deliver(&receipt(1, sent.id(), r#""delivered""#));
    assert_eq!(within(sent.delivered()).await, Ok(()));
    guest.puback();
    guest.acknowledge(&publish, 0, &stored());
    for (state, expected) in [
        (r#""expired""#, Undelivered::Expired),
        (
            r#""dropped","why":"purged""#,
            Undelivered::Dropped {
                why: DropReason::Purged,
            },
        ),
        (r#""refused","reason":135"#, Undelivered::Rejected { code: 135 }),
    ] {
        let (sent, publish) = send(&alice, &mut guest, state).await;
        guest.acknowledge(&publish, 0, &stored());
        guest.deliver(&receipt(1, sent.id(), state));
        guest.puback();
        assert_eq!(within(sent.delivered()).await, Err(expected.clone()));
        assert_eq!(within(sent.read()).await, Err(expected));
        assert!(within(sent.stored()).await.is_ok());
    }
    let (sent, publish) = send(&alice, &mut guest, "to an old inboxd").await;
    guest.acknowledge(&publish, 0, &Props::new());
    let why = NotToldWhy::Broker;
    assert_eq!(within(sent.delivered()).await, Err(Undelivered::NotTold { why }));
    for (code, reason) in [
        (0x87, Refusal::NotAuthorized),
        (0x90, Refusal::NoInbox),
        (0x99, Refusal::BadRequest),
        (0x80, Refusal::Other { code: 0x80 }),
    ] {
        let (sent, publish) = send(&alice, &mut guest, "refused").await;
        guest.acknowledge(&publish, code, &Props::new().bytes(property::REASON_STRING, "no"));
        let Err(Undelivered::Refused(refused)) = within(sent.stored()).await else {
            panic!("it is refused")
        };
        assert_eq!((refused.reason, refused.told.as_deref()), (reason, Some("no")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_wakes_what_was_held_back() {
    // Goal: after 0x97 the message waits, and those after it; the notice of room ends the wait; the repeat asks to be told again, and has the same id.
    let broker = ScriptedBroker::new();
    let mut patient = options(broker.port(), "alice");
    let hours = Duration::from_secs(10_000);
    patient.retry = Pauses {
        first: hours,
        longest: hours,
        stable: hours,
    };
    let (alice, mut guest) = meet(&broker, patient, inboxd()).await;
    let mut events = alice.events();
    let (sent, publish) = send(&alice, &mut guest, "1").await;
    let later = within(alice.send("bob", "2")).await.unwrap();
    guest.acknowledge(&publish, 0x97, &Props::new());
    let held = within(async {
        loop {
            if let Some(Event::Held { to, code, .. }) = events.next().await {
                return (to, code);
            }
        }
    });
    assert_eq!(held.await, ("bob".to_owned(), 0x97));
    let room = PublishPacket::new("alice", r#"{"at":1,"notice":"room","seq":1,"topic":"bob"}"#, 1, 1);
    guest.deliver(
        &room
            .retain()
            .props(said("$inboxd", "room", 1).user("$inboxd", "notice")),
    );
    guest.puback();
    let again = tokio::task::block_in_place(|| guest.publish());
    assert_eq!((again.text(), again.props.user("id")), ("1", Some(sent.id())));
    assert_eq!(again.props.user("notify-space"), Some("1"));
    guest.acknowledge(&again, 0, &stored());
    let last = tokio::task::block_in_place(|| guest.publish());
    assert_eq!((last.text(), last.props.user("notify-space")), ("2", None));
    guest.acknowledge(&last, 0, &stored());
    within(later.stored()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_connection_stop_and_troubles_do_not() {
    // Goal: a wrong password is an error of `connect`; one that comes later stops the inbox, and what waits is told so; a busy broker is tried again.
    let broker = ScriptedBroker::new();
    let first = tokio::spawn(Inbox::connect(options(broker.port(), "alice")));
    drop(tokio::task::block_in_place(|| broker.answer(0x86, &Props::new())));
    let error = within(first).await.unwrap().unwrap_err();
    assert!(
        matches!(error, ConnectError::Stopped(StopReason::BadCredentials)),
        "{error}"
    );
    let (alice, guest) = meet(&broker, options(broker.port(), "alice"), inboxd()).await;
    assert_eq!(alice.status(), Status::Connected { is_inboxd: true });
    drop(guest);
    drop(tokio::task::block_in_place(|| broker.answer(0x89, &Props::new())));
    let sent = within(alice.send("bob", "x")).await.unwrap();
    drop(tokio::task::block_in_place(|| broker.answer(0x87, &Props::new())));
    let reason = StopReason::NotAuthorized;
    assert_eq!(within(sent.stored()).await, Err(Undelivered::Stopped(reason)));
    assert_eq!(alice.status(), Status::Stopped { reason });
    assert!(within(alice.recv()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_kind_of_broker_does_what_it_can() {
    // Goal: without an epoch nothing is believed that only inboxd can say, nothing is asked that only it can do, and what is missing is told.
    let broker = ScriptedBroker::new();
    let alice = Inbox::open(options(broker.port(), "alice")).await.unwrap();
    let mut events = alice.events();
    let mut guest = tokio::task::block_in_place(|| broker.welcome(&Props::new()));
    within(alice.first_attempt()).await.unwrap();
    assert_eq!(within(events.next()).await, Some(Event::Connected { is_inboxd: false }));
    assert_eq!(within(events.next()).await, Some(Event::PlainBroker));
    let (sent, publish) = send(&alice, &mut guest, "hello").await;
    assert_eq!(publish.props.user("receipt"), None);
    guest.acknowledge(&publish, 0, &Props::new());
    within(sent.stored()).await.unwrap();
    let why = NotToldWhy::Broker;
    assert_eq!(within(sent.delivered()).await, Err(Undelivered::NotTold { why }));
    let (lost, publish) = send(&alice, &mut guest, "to nobody").await;
    guest.acknowledge(&publish, 0x10, &Props::new());
    let stored = within(lost.stored()).await;
    assert!(
        matches!(&stored, Err(Undelivered::Refused(why)) if why.reason == Refusal::NobodyThere),
        "{stored:?}"
    );
    // What is asked of it is for nobody, too: that says nothing of the recipient.
    let recalling = within(alice.recall("bob", sent.id()));
    let (recalled, ()) = tokio::join!(recalling, async {
        let request = tokio::task::block_in_place(|| guest.publish());
        assert_eq!(request.topic, "$inbox/recall");
        guest.acknowledge(&request, 0x10, &Props::new());
    });
    assert_eq!(recalled, Err(RequestError::Refused(Undelivered::NotTold { why })));
    guest.deliver(&PublishPacket::new("alice", "hi", 1, 1).props(said("carol", "m", 3)));
    let mail = within(alice.recv()).await.unwrap();
    assert_eq!((mail.from.as_str(), mail.seq, mail.id.as_str()), ("", None, "m"));
    within(mail.ack()).await.unwrap();
    assert_eq!(guest.puback(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_drops_and_another_epoch_are_events() {
    // Goal: `prev` that does not fit, `dropped` that grew, and a restored store are told, also over a restart of the program.
    let broker = ScriptedBroker::new();
    let folder = tempdir().unwrap();
    let bob = Inbox::open(on_disk(broker.port(), "bob", &folder)).await.unwrap();
    let mut events = bob.events();
    let mut guest = tokio::task::block_in_place(|| broker.welcome(&inboxd()));
    for (seq, more) in [
        (5, &[][..]),
        (9, &[("prev", "5"), ("dropped", "2")]),
        (20, &[("prev", "15"), ("dropped", "2")]),
    ] {
        let props = said("alice", &seq.to_string(), seq);
        let props = more.iter().fold(props, |props, (name, value)| props.user(name, value));
        let packet = PublishPacket::new("bob", "x", 1, seq as u16).props(props);
        guest.deliver(&packet);
        within(within(bob.recv()).await.unwrap().ack()).await.unwrap();
        guest.puback();
    }
    let mut told = Vec::new();
    while told.len() < 2 {
        match within(events.next()).await.unwrap() {
            Event::Connected { .. } | Event::Outbox { .. } => {}
            other => told.push(other),
        }
    }
    let expected = [Event::Dropped { messages: 2 }, Event::Gap { after: 9, prev: 15 }];
    assert_eq!(told, expected);
    within(bob.close(Duration::ZERO)).await.unwrap();
    let bob = Inbox::open(on_disk(broker.port(), "bob", &folder)).await.unwrap();
    let mut events = bob.events();
    let another = Props::new().user("epoch", "another");
    let _guest = tokio::task::block_in_place(|| broker.welcome(&another));
    let before = "00112233aabbccdd".to_owned();
    assert_eq!(within(events.next()).await, Some(Event::EpochChanged { before }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_told_after_its_acknowledgement_and_again_with_it() {
    // Goal: `$inbox/read` follows the PUBACK; where the PUBACK may be lost, so that the message comes again, reading is told again after it; who did not
    // ask is told nothing.
    let broker = ScriptedBroker::new();
    let folder = tempdir().unwrap();
    let (bob, mut guest) = meet(&broker, on_disk(broker.port(), "bob", &folder), inboxd()).await;
    let asks = |packet_id| {
        let props = said("alice", "m1", 7).user("receipt", "delivered,read");
        PublishPacket::new("bob", "hello", 1, packet_id).props(props)
    };
    guest.deliver(&asks(1));
    let delivery = within(bob.recv()).await.unwrap();
    within(delivery.ack()).await.unwrap();
    within(delivery.mark_read()).await.unwrap();
    let is_told = |guest: &mut Guest, packet_id| {
        assert_eq!(guest.puback(), (packet_id, 0));
        let told = tokio::task::block_in_place(|| guest.publish());
        let expected = ("$inbox/read", r#"{"from":"alice","ids":["m1"]}"#);
        assert_eq!((told.topic.as_str(), told.text()), expected);
        assert_eq!(told.props.users(), []);
        guest.acknowledge(&told, 0, &Props::new());
    };
    is_told(&mut guest, 1);
    guest.deliver(&asks(2));
    is_told(&mut guest, 2);
    within(bob.close(Duration::from_secs(5))).await.unwrap();
    let (bob, mut guest) = meet(&broker, on_disk(broker.port(), "bob", &folder), inboxd()).await;
    guest.deliver(&asks(3));
    is_told(&mut guest, 3);
    guest.deliver(&PublishPacket::new("bob", "quiet", 1, 4).props(said("alice", "m2", 8)));
    let quiet = within(bob.recv()).await.unwrap();
    within(quiet.ack()).await.unwrap();
    within(quiet.mark_read()).await.unwrap();
    assert_eq!(guest.puback(), (4, 0));
    within(bob.close(Duration::from_secs(5))).await.unwrap();
    assert_eq!(guest.packet().0 >> 4, 14, "DISCONNECT comes next, and nothing was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_taken_back_where_it_is() {
    // Goal: a recall of what is in the outbox happens there; of what is out, the broker answers whether its reader was told; an edit likewise.
    let broker = ScriptedBroker::new();
    let (alice, mut guest) = meet(&broker, options(broker.port(), "alice"), inboxd()).await;
    let (first, publish) = send(&alice, &mut guest, "out").await;
    let waits = within(alice.send("bob", "waits for the first")).await.unwrap();
    let recalled = within(alice.recall("bob", waits.id())).await;
    assert_eq!(recalled, Ok(Recalled::BeforeSending));
    assert_eq!(within(waits.stored()).await, Err(Undelivered::Recalled));
    guest.acknowledge(&publish, 0, &stored());
    for (state, expected) in [("recalled", Recalled::Undelivered), ("told", Recalled::RecipientTold)] {
        let (asking, id) = (alice.clone(), first.id().to_owned());
        let asked = tokio::spawn(async move { asking.recall("bob", &id).await });
        let request = tokio::task::block_in_place(|| guest.publish());
        assert_eq!(request.topic, "$inbox/recall");
        assert!(request.text().contains(first.id()));
        guest.acknowledge(&request, 0, &Props::new().user("state", state));
        assert_eq!(within(asked).await.unwrap(), Ok(expected));
    }
    let (asking, id) = (alice.clone(), first.id().to_owned());
    let asked = tokio::spawn(async move { asking.edit("bob", &id, "better").await });
    let request = tokio::task::block_in_place(|| guest.publish());
    assert_eq!((request.topic.as_str(), request.text()), ("$inbox/edit", "better"));
    assert_eq!(request.props.user("to"), Some("bob"));
    assert_eq!(request.props.user("id"), Some(first.id()));
    guest.acknowledge(&request, 0x90, &Props::new());
    let refused = within(asked).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, RequestError::Refused(Undelivered::Refused(_))),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_out_of_order_hold_nothing_up_for_good() {
    // Goal: a broker may answer in another order (MQTT-4.6.0-2 binds it, and not all of them keep to it). Each answer belongs to its message, also where
    // packet identifiers are used again while an earlier one is not answered, and the link is found alive meanwhile.
    let broker = ScriptedBroker::new();
    let mut few = options(broker.port(), "alice").limits(|limits| limits.in_flight_max = 2);
    let short = Duration::from_millis(100);
    (few.heartbeat.first, few.heartbeat.shortest) = (short, short);
    let (alice, mut guest) = meet(&broker, few, inboxd()).await;
    let mut all = Vec::new();
    for to in ["a", "b", "c", "d", "e", "f"] {
        all.push(within(alice.send(to, to)).await.unwrap());
    }
    let first = tokio::task::block_in_place(|| guest.publish());
    // The next packet identifier is the first one's again.
    for expected in ["b", "c"] {
        let publish = tokio::task::block_in_place(|| guest.publish());
        assert_eq!(publish.text(), expected);
        assert_ne!(publish.packet_id, first.packet_id);
        guest.acknowledge(&publish, 0, &stored());
    }
    assert_eq!(all[0].state(), SentState::Waiting);
    // Some heartbeats later the connection is the same.
    tokio::task::block_in_place(|| (0..3).for_each(|_| guest.ping()));
    guest.acknowledge(&first, 0, &stored());
    while alice.outbox().iter().any(|sent| sent.state() == SentState::Waiting) {
        let publish = tokio::task::block_in_place(|| guest.publish());
        guest.acknowledge(&publish, 0, &stored());
        let sent = all.iter().find(|sent| sent.to() == publish.text()).unwrap();
        within(sent.stored()).await.unwrap();
    }
    assert_eq!(within(all[0].stored()).await, Ok(Stored { seq: Some(7) }));
}
