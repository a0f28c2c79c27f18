//! Access rules that change while a client comes.

use access::{Account, Rules};

use super::*;

#[test]
fn rules_that_change_while_a_client_waits_for_its_session_hold_for_it() {
    // Goal: regression: a client that was let in by the old rules, and waited until another connection had ended, kept a client ID that the
    // new ones took away: nobody looked at it again.
    let mut talk = Talk::new();
    let gate = "[[role]]\nname = \"gate\"\nmembers = [\"eve\"]\nclient_ids = [\"bob\"]\n";
    talk.shared.access.enforce(Rules::parse(gate, "").unwrap());
    assert_eq!(talk.conversation.receive(CONNECT, talk.now), CONNECT.len());
    let Some(Step::Authenticate(credentials)) = talk.conversation.next_step(talk.now) else {
        panic!("nobody asks who it is");
    };
    let eve = Account {
        user: "eve".into(),
        ..Account::default()
    };
    let who = Identity::of(credentials.client_id, Arc::new(eve));
    talk.conversation.authenticated(Ok(who), talk.now);
    talk.shared.access.enforce(Rules::without_file(true));
    talk.carry_out(Ok(()));
    assert_eq!(talk.conversation.ending().and_then(Ending::reason_code), Some(0x87));
    assert_eq!(talk.closes, 1, "its session is put away");
}
