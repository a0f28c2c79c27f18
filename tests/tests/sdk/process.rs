//! The process of the SDK is killed, at any step.

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use inbox_client::{Inbox, Message};
use inbox_tests::{Broker, Running};
use rand::{Rng, SeedableRng};
use tempfile::tempdir;

use crate::{connect, numbers, on_disk, outbox, take, within};

const MESSAGES: usize = 200;

/// What a child is to do: `send` or `receive`, the port, the folder, the first number.
const TASK: &str = "INBOX_SDK_TEST_CHILD";

#[tokio::test]
async fn what_others_kill() {
    // Goal: none of its own: other tests start it as a process, with a task, and kill it.
    let Ok(task) = env::var(TASK) else { return };
    let mut words = task.split(' ');
    let mut next = || words.next().unwrap();
    let (what, port, folder) = (next(), next().parse().unwrap(), PathBuf::from(next()));
    let first: usize = next().parse().unwrap();
    let options = crate::options(port, what).outbox(outbox(&folder, what));
    let inbox = within(Inbox::open(options)).await.unwrap();
    if what == "send" {
        for number in first..MESSAGES {
            let message = Message::text(number.to_string()).id(number.to_string());
            inbox.send("bob", message).await.unwrap().id();
            say(&format!("sent {number}"));
        }
        inbox.flushed().await;
        say("all sent");
    }
    while let Some(delivery) = inbox.recv().await {
        let number = delivery.text().unwrap().to_owned();
        say(&format!("got {number}"));
        delivery.ack().await.unwrap();
        say(&format!("acknowledged {number}"));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\n@{line}").unwrap();
    out.flush().unwrap();
}

/// A child, and what it says.
fn start(what: &str, port: u16, folder: &Path, first: usize) -> (Running, impl Iterator<Item = String>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["process::what_others_kill", "--exact", "--nocapture"]);
    command.env(TASK, format!("{what} {port} {} {first}", folder.display()));
    let mut child = Running::piped(&mut command);
    let lines = BufReader::new(child.stdout()).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.strip_prefix('@').map(str::to_owned));
    (child, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_killed_sends_everything_once() {
    // Goal: each `send` that returned is delivered once and in order, however often the process is killed; one that did not return may be repeated with
    // its id.
    let broker = Broker::start();
    let folder = tempdir().unwrap();
    let bob = connect(&broker, "bob").await;
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut first = 0;
    while first < MESSAGES {
        let (mut child, mut said) = start("send", broker.port(), folder.path(), first);
        for _ in 0..random.random_range(1..40) {
            match said.next().as_deref() {
                Some("all sent") => break,
                Some(line) => first = line.strip_prefix("sent ").unwrap().parse::<usize>().unwrap() + 1,
                None => panic!("the child has ended"),
            }
        }
        child.kill();
    }
    let alice = on_disk(broker.port(), "send", &folder);
    let alice = within(Inbox::connect(alice)).await.unwrap();
    within(alice.close(Duration::from_secs(30))).await.unwrap();
    for number in numbers(MESSAGES) {
        assert_eq!(take(&bob).await.text(), Ok(number.as_str()));
    }
    within(within(bob.send("bob", "the last")).await.unwrap().stored())
        .await
        .unwrap();
    assert_eq!(take(&bob).await.text(), Ok("the last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_killed_gets_nothing_twice_that_it_acknowledged() {
    // Goal: what `ack` returned for is not handed over again, by no later life; everything is handed over, in order but for what comes again.
    let broker = Broker::start();
    let folder = tempdir().unwrap();
    let alice = connect(&broker, "alice").await;
    for number in numbers(MESSAGES) {
        within(alice.send("receive", number)).await.unwrap().id();
    }
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut acknowledged = HashSet::new();
    let mut next = 0;
    while next < MESSAGES {
        let (mut child, mut said) = start("receive", broker.port(), folder.path(), 0);
        let last = format!("acknowledged {}", MESSAGES - 1);
        let mut lines = Vec::new();
        for _ in 0..random.random_range(1..60) {
            lines.extend(said.next());
            if lines.last() == Some(&last) {
                break;
            }
        }
        child.kill();
        // What it said meanwhile counts as well.
        lines.extend(said);
        for line in lines {
            let (what, number) = line.split_once(' ').unwrap();
            let number: usize = number.parse().unwrap();
            if what == "acknowledged" {
                acknowledged.insert(number);
                continue;
            }
            assert!(
                !acknowledged.contains(&number),
                "{number} came again, and was acknowledged"
            );
            assert!(number <= next, "{number} came, and {next} was to be next");
            next = next.max(number + 1);
        }
    }
    assert!(acknowledged.len() > MESSAGES / 2);
}
