//! Quotas, as a conversation keeps them.

use access::{Access, Authenticating, Authenticator, QuotaLimits, Quotas, RoleQuota};
use proptest::prelude::*;

use super::*;

/// The broker of a test, with these limits.
fn limited(limits: QuotaLimits) -> Arc<Shared> {
    let mut shared = shared();
    Arc::get_mut(&mut shared).unwrap().quotas = Quotas::new(limits);
    shared
}

fn paced(publishes_per_second: u32) -> Arc<Shared> {
    limited(QuotaLimits {
        everybody: RoleQuota {
            publishes_per_second: Some(publishes_per_second),
            ..RoleQuota::default()
        },
        ..QuotaLimits::default()
    })
}

#[test]
fn one_connection_too_many_is_told_when_it_says_connect() {
    // Goal: it is told in the way of its version, before it is asked who it is; the place of one that ended is free.
    let shared = limited(QuotaLimits {
        connections_per_address: Some(1),
        ..QuotaLimits::default()
    });
    let mut first = Talk::with(shared.clone());
    first.receive(CONNECT_311, Ok(()));
    assert_eq!(first.said(), [0x20, 2, 0, 0]);
    let mut second = Talk::with(shared.clone());
    second.receive(CONNECT_311, Ok(()));
    assert_eq!(second.said(), [0x20, 2, 0, 3]);
    let mut third = Talk::with(shared.clone());
    third.receive(CONNECT, Ok(()));
    assert_eq!(third.said().get(3), Some(&0x97));
    drop(first);
    let mut fourth = Talk::with(shared);
    fourth.receive(CONNECT_311, Ok(()));
    assert_eq!(fourth.said(), [0x20, 2, 0, 0]);
    assert_eq!((second.closes, third.closes), (0, 0));
}

#[test]
fn one_connection_too_many_cannot_stay_long() {
    // Goal: who has too many connections and says nothing holds them for a second, and not for mqtt.connect_timeout.
    let shared = limited(QuotaLimits {
        connections_per_address: Some(1),
        ..QuotaLimits::default()
    });
    let _first = Talk::with(shared.clone());
    let mut second = Talk::with(shared);
    second.pass(Duration::from_millis(999), Ok(()));
    assert_eq!(second.conversation.ending(), None);
    second.pass(Duration::from_millis(1), Ok(()));
    assert!(second.conversation.is_over());
}

#[test]
fn who_publishes_too_fast_is_read_later_and_loses_nothing() {
    // Goal: at 10 publishes a second, 50 that come at once are taken in about four seconds; a client that has nothing more to say
    // keeps its connection meanwhile, although its keep alive is 5 s.
    let mut talk = Talk::with(paced(10));
    talk.receive(CONNECT_311, Ok(()));
    talk.receive(&PUBLISH.repeat(50), Ok(()));
    let left = |talk: &Talk| talk.input.len() / PUBLISH.len();
    assert!((38..=40).contains(&left(&talk)), "{}", left(&talk));
    let mut now = talk.now;
    assert!(!talk.conversation.wants_bytes(now));
    let mut passed = Duration::ZERO;
    while left(&talk) > 0 {
        let wait = talk.conversation.deadline(talk.now).saturating_sub(talk.now.mono);
        assert!(wait <= Duration::from_millis(101), "{wait:?}");
        talk.pass(wait, Ok(()));
        passed += wait;
        talk.said();
    }
    assert!(
        (Duration::from_millis(3800)..=Duration::from_millis(4100)).contains(&passed),
        "{passed:?}"
    );
    now = talk.now;
    now.mono += Duration::from_millis(101);
    talk.pass(Duration::from_millis(101), Ok(()));
    assert!(talk.conversation.wants_bytes(now));
    assert_eq!(talk.conversation.ending(), None);
}

/// Takes every token for one of the client that shows it.
struct Trusting;

impl Authenticator for Trusting {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        Box::pin(std::future::ready(Ok(Identity::anonymous(credentials.client_id))))
    }

    fn takes_tokens(&self) -> bool {
        true
    }

    fn renew(&self, who: &Identity, _: &str) -> Result<Identity, Denied> {
        Ok(who.clone())
    }
}

#[test]
fn a_fresh_token_does_not_begin_a_pace_anew() {
    // Goal: regression: a client that showed a token by AUTH after each burst was let through at many times its rate.
    const TOKEN: &[u8] = b"\x0c\x15\0\x05token\x16\0\x01x";
    let connect = [b"\x10\x1c\0\x04MQTT\x05\x02\0\0", TOKEN, b"\0\x03bob"].concat();
    let auth = [b"\xF0\x0e\x19", TOKEN].concat();
    let mut shared = paced(10);
    Arc::get_mut(&mut shared).unwrap().access = Access::new(Arc::new(Trusting));
    let mut talk = Talk::with(shared);
    talk.receive(&connect, Ok(()));
    let burst = [PUBLISH.repeat(11), auth].concat();
    talk.receive(&burst.repeat(5), Ok(()));
    let mut passed = Duration::ZERO;
    while !talk.input.is_empty() {
        let wait = talk.conversation.deadline(talk.now).saturating_sub(talk.now.mono);
        talk.pass(wait, Ok(()));
        passed += wait;
        talk.said();
    }
    assert_eq!(talk.conversation.ending(), None);
    // 55 publishes at 10 a second, of which the first second's come at once.
    assert!(passed >= Duration::from_millis(4300), "{passed:?}");
}

proptest! {
    #[test]
    fn a_pace_never_stops_a_conversation(rate in 1..1000_u32, pauses in prop::collection::vec((1..40_usize, 0..500_u64), 1..25)) {
        // Goal: whatever a client sends and when, all of it is taken at last, and no faster than it may. Nobody answers its mail here, so it sends
        // less than it may have unanswered.
        let mut talk = Talk::with(paced(rate));
        talk.receive(CONNECT_311, Ok(()));
        let mut sent = 0;
        for (publishes, pause) in pauses {
            talk.receive(&PUBLISH.repeat(publishes), Ok(()));
            sent += publishes;
            talk.pass(Duration::from_millis(pause), Ok(()));
            talk.said();
        }
        let mut waits = 0;
        while !talk.input.is_empty() {
            let wait = talk.conversation.deadline(talk.now).saturating_sub(talk.now.mono);
            prop_assert!(wait <= Duration::from_millis(1001));
            talk.pass(wait, Ok(()));
            talk.said();
            waits += 1;
            prop_assert!(waits <= 2 * sent, "it goes on");
        }
        prop_assert_eq!(talk.conversation.ending(), None);
    }
}
