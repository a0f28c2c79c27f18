//! The inputs that fuzzing has kept, through the same targets. `cargo xtask fuzz` looks for new ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "these are tests: a failed assumption is a failed test"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use inbox_bridge::{Fault, set_fault};
use inbox_tests::fuzz::{TARGETS, Target};

/// Fewer would say that the corpus was not found.
const INPUTS_MIN: usize = 10;
/// What the repository keeps of all corpora.
const CORPORA_BYTES_MAX: u64 = 300_000;

fn corpus(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", "corpus", name]
        .iter()
        .collect()
}

fn inputs(name: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<_> = fs::read_dir(corpus(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    inputs
}

fn replay(name: &str) {
    let (_, target): &Target = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let inputs = inputs(name);
    assert!(
        inputs.len() >= INPUTS_MIN,
        "the corpus of {name} has {} inputs",
        inputs.len()
    );
    for input in inputs {
        // What the test says last is the input that it fails on.
        eprintln!("{}", input.display());
        target(&fs::read(&input).unwrap());
    }
}

#[test]
fn session_takes_any_bytes() {
    // Goal: whatever a client sends is answered in whole packets, and the next client is served.
    replay("session");
}

#[test]
fn clients_together_keep_the_contract() {
    // Goal: contract rules 1 to 7, 9 and 10, with any number of disconnections, takeovers, failed commits and crashes.
    replay("clients");
}

#[test]
fn records_are_read_back_or_refused() {
    // Goal: what is on the disk means one thing or is an error (docs/storage-format.md).
    replay("records");
}

#[test]
fn backups_are_read_whole_or_refused() {
    // Goal: no file makes a restore panic, and neither a part of a backup nor one with a bit changed is taken for it.
    replay("backups");
}

#[test]
fn filters_match_as_the_specification_says() {
    // Goal: MQTT 5, section 4.7, and contract rule 1, in the session and in the router.
    replay("filters");
}

#[test]
fn configurations_are_valid_or_refused_in_one_line() {
    // Goal: a Config that exists is valid and is printed as what it is; an error is a sentence.
    replay("config");
}

#[test]
fn frames_of_websocket_mean_what_they_mean_elsewhere() {
    // Goal: RFC 6455: frames split anywhere, right or wrong, are what tungstenite makes of them; requests are granted or answered.
    replay("websocket");
}

#[test]
fn proxy_headers_are_read_to_their_end_or_refused() {
    // Goal: the PROXY protocol, both versions: no byte behind a header is read, and no input makes the decoder panic.
    replay("proxy");
}

#[test]
fn every_target_has_a_corpus_and_corpora_are_small() {
    // Goal: a new target comes with its inputs, and nobody commits what a night of fuzzing found.
    let bytes = TARGETS
        .iter()
        .flat_map(|(name, _)| inputs(name))
        .map(|path| path.metadata().unwrap().len());
    let bytes: u64 = bytes.sum();
    assert!(bytes < CORPORA_BYTES_MAX, "all corpora together have {bytes} bytes");
}

/// Mistakes about users, tokens, rules, lists, shares, absent owners, wills, receipts and changed minds: the clients of the target have none, those of the
/// simulator do.
const NOT_HERE: [Fault; 42] = [
    Fault::AckWillEarly,
    Fault::ForgetWill,
    Fault::RepeatWill,
    Fault::HurryWill,
    Fault::KeepWillOfReturned,
    Fault::KeepVoidWill,
    Fault::ReceiptBeforeAck,
    Fault::ReceiptApart,
    Fault::AmendApart,
    Fault::AmendAnothers,
    Fault::RecallTooLate,
    Fault::CollapseNothing,
    Fault::RefusedIsDelivered,
    Fault::ForgetUnread,
    Fault::IgnoreRate,
    Fault::ForgetDropped,
    Fault::KeepStuck,
    Fault::WrongPrev,
    Fault::StoreRepeats,
    Fault::AckIdsEarly,
    Fault::ForgetIds,
    Fault::ShareIds,
    Fault::ForgedUser,
    Fault::AnyClientId,
    Fault::IgnoreShare,
    Fault::KeepRoomSecret,
    Fault::TellRoomTwice,
    Fault::IgnoreTokenEnd,
    Fault::TakeAfterTokenEnd,
    Fault::RenewAnother,
    Fault::ForgetRenewal,
    Fault::IgnoreRules,
    Fault::KeepOldRules,
    Fault::ForgetReview,
    Fault::ForgetWaiting,
    Fault::DeniedSaysYes,
    Fault::IgnoreLists,
    Fault::AckListsEarly,
    Fault::ForgetLists,
    Fault::CountNoStrangers,
    Fault::ForgetAnswer,
    Fault::ForgetWhoCame,
];

#[test]
fn the_kept_inputs_of_clients_catch_planted_faults() {
    // Goal: a broker that breaks a rule on purpose is caught by the inputs in the repository, so they can fail.
    let inputs: Vec<_> = inputs("clients").iter().map(|path| fs::read(path).unwrap()).collect();
    let (_, target): &Target = TARGETS.iter().find(|(name, _)| *name == "clients").unwrap();
    let mut missed = Vec::new();
    // How much memory is used is not looked at here, no kept input is large enough to stall a reader, the system clock is not set,
    // reads always succeed, and notices and the wait after QoS 0 are off: the simulator sees these.
    let elsewhere = [
        Fault::UnboundedQos0,
        Fault::IgnoreUntaken,
        Fault::IgnoreBudget,
        Fault::ForgetStalled,
        Fault::AckBeforeNotice,
        Fault::ReplaceGone,
        Fault::GiveUpReading,
        Fault::LeaveWhenWritten,
        Fault::WallExpiry,
        Fault::ForgetAge,
    ];
    // Nor are there ordinary topics.
    let is_seen =
        |fault: &&Fault| !elsewhere.contains(fault) && !NOT_HERE.contains(fault) && !fault.is_of_ordinary_topics();
    for fault in Fault::ALL.iter().filter(is_seen) {
        set_fault(Some(*fault));
        let caught = inputs.iter().any(|input| catch_unwind(|| target(input)).is_err());
        set_fault(None);
        if !caught {
            missed.push(*fault);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
