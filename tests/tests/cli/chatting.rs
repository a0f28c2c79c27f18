//! `inbox chat`: two people, over bad networks.

use inbox_tests::{Broker, Relay};

use crate::people::{Person, Talk, ended};

/// Says it, and waits until the other has read it.
fn talk(from: &mut Talk, name: &str, to: &Talk, text: &str) {
    let (before, there) = (from.lines().len(), to.lines().len());
    from.say(text);
    to.wait(&format!(" {name}: {text}"), there);
    from.wait(&format!("read      | {text}"), before);
}

#[test]
fn two_people_talk_through_a_restart_and_a_cut_link() {
    // Goal: each line comes once and in order, and its writer sees it read; a lost connection and the next one are a line each; what is typed in between
    // goes out afterwards.
    let mut broker = Broker::start();
    let relay = Relay::to(broker.port());
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut here = alice.start(relay.port(), &["chat", "bob"]);
    let mut there = bob.start(relay.port(), &["chat", "alice"]);
    here.wait("-- connected", 0);
    there.wait("-- connected", 0);
    talk(&mut here, "alice", &there, "1");
    talk(&mut there, "bob", &here, "2");
    let (a, b) = (here.lines().len(), there.lines().len());
    relay.cut();
    here.wait("-- connection lost, trying again", a);
    there.wait("-- connection lost, trying again", b);
    here.wait("-- connected", a);
    there.wait("-- connected", b);
    talk(&mut here, "alice", &there, "3");
    let (a, b) = (here.lines().len(), there.lines().len());
    broker.kill9();
    here.wait("-- connection lost, trying again", a);
    there.wait("-- connection lost, trying again", b);
    here.say("4");
    here.say("5");
    broker.restart();
    relay.lead_to(broker.port());
    there.wait(" alice: 5", b);
    here.wait("read      | 5", a);
    talk(&mut there, "bob", &here, "6");
    let said = |talk: &Talk, from: &str| -> Vec<String> {
        let lines = talk.lines().into_iter();
        lines
            .filter_map(|line| Some(line.split_once(from)?.1.to_owned()))
            .collect()
    };
    assert_eq!(said(&there, " alice: "), ["1", "3", "4", "5"]);
    assert_eq!(said(&here, " bob: "), ["2", "6"]);
    for talk in [&here, &there] {
        let count = |text: &str| talk.lines().iter().filter(|line| line.starts_with(text)).count();
        assert_eq!(
            (count("-- connection lost"), count("-- connected")),
            (2, 3),
            "{:?}",
            talk.lines()
        );
    }
    for mut talk in [here, there] {
        talk.hang_up();
        assert_eq!(talk.running.wait().code(), Some(0));
    }
}

#[test]
fn marks_say_how_far_a_line_is() {
    // Goal: stored while bob is away, read when he has come, also for what an earlier chat sent; in ASCII if it is asked for; strangers are shown and named.
    let broker = Broker::start();
    let (alice, bob, carol) = (Person::new("alice"), Person::new("bob"), Person::new("carol"));
    let mut here = alice.start(broker.port(), &["chat", "bob"]);
    here.say("are you there?");
    here.wait("✓  stored    | are you there?", 0);
    here.hang_up();
    assert_eq!(here.running.wait().code(), Some(0));
    let mut here = alice.start(broker.port(), &["chat", "bob", "--ascii"]);
    here.say("hello?");
    here.wait("   +  stored    | hello?", 0);
    assert_eq!(ended(&carol.inbox(broker.port(), &["send", "alice", "hi"])).0, Some(0));
    here.wait("carol (not in this chat): hi", 0);
    let there = bob.start(broker.port(), &["chat", "alice"]);
    there.wait("alice: hello?", there.wait("alice: are you there?", 0));
    here.wait("   ++ read      | hello?", 0);
    here.wait("   ++ read      | (sent earlier, as ", 0);
    assert!(here.lines().iter().all(|line| line.is_ascii()), "{:?}", here.lines());
}

#[test]
fn what_is_piped_in_is_with_the_broker_at_the_end() {
    // Goal: a chat at the end of a pipe waits until its lines are stored; without a broker it says that they are not.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (code, ..) = ended(&alice.fed(broker.port(), &["chat", "bob"], b"one\n\ntwo"));
    assert_eq!(code, Some(0));
    let (_, read, _) = ended(&bob.inbox(broker.port(), &["listen", "--count", "2"]));
    assert_eq!(read, "one\ntwo\n");
    let (code, ..) = ended(&alice.fed(broker.port(), &["chat", "a/b"], b"one\n"));
    assert_eq!(code, Some(65));
}
