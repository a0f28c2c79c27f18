//! The end of what proves who a client is.

use access::Account;

use super::*;

#[test]
fn what_comes_after_the_end_of_a_token_does_not_count() {
    // Goal: regression: what was read in the moment in which the timer was due was still taken, and answered.
    let mut talk = Talk::new();
    assert_eq!(talk.conversation.receive(CONNECT, talk.now), CONNECT.len());
    let Some(Step::Authenticate(credentials)) = talk.conversation.next_step(talk.now) else {
        panic!("nobody asks who it is");
    };
    let account = Account {
        user: "bob".into(),
        expires_at: Some(talk.now.wall.0 / 1_000_000 + 10),
        ..Account::default()
    };
    let who = Identity::of(credentials.client_id, Arc::new(account));
    talk.conversation.authenticated(Ok(who), talk.now);
    talk.carry_out(Ok(()));
    assert!(talk.conversation.session().is_some());
    talk.said();
    talk.now.mono += Duration::from_secs(10);
    talk.now.wall.0 += 10_000_000;
    assert_eq!(talk.conversation.receive(PUBLISH, talk.now), 0);
    talk.carry_out(Ok(()));
    assert_eq!(talk.conversation.ending().and_then(Ending::reason_code), Some(0xA0));
    assert_eq!(
        talk.said().first(),
        Some(&0xE0),
        "DISCONNECT comes, and no PUBACK before it"
    );
}
