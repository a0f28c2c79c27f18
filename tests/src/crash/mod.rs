//! kill -9, again and again: real brokers on one real directory, real clients, and a [`ledger`] outside that knows every
//! acknowledgement seen and every message received.
//!
//! A run is a row of lives of the broker. In each, publishers and readers do what real ones do, and at a random moment it is
//! killed: while it starts, while it works, or while it shuts down (the plan of a life, [`plan`], comes from the seed).
//! After the last life every inbox is read to its end, and the ledger must add up. What is checked, with the contract's
//! rules, is in [`ledger`].
//!
//! The programs have threads, so a seed repeats the plan and the clients' choices, but not each interleaving.

mod asking;
mod ledger;
mod life;
mod message;
mod notices;
mod ordinary;
mod plan;
mod process;
mod publisher;
mod reader;
mod repeating;
mod report;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inbox_bridge::Engine;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use asking::{Asking, Checked, During};
use ledger::Ledger;
use life::Life;
pub use ordinary::{Ordinary, Parts, RetainedChecked, SessionsChecked, WillsChecked};
pub use plan::Router;
use plan::{Moment, Plan};
use process::{End, Process};
pub use report::Report;

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the broker keeps its inboxes in.
    pub engine: Engine,
    /// What it drives ordinary topics with.
    pub router: Router,
    /// What of ordinary topics is checked beside the inboxes.
    pub ordinary: Parts,
    /// How often the broker is killed.
    pub kills: u32,
    /// Where all random choices come from.
    pub seed: u64,
    /// Whether to tell on standard error what happens in each life.
    pub verbose: bool,
}

/// More than any run here leaves in one inbox: a refusal is then the disk watermark's, or of what is sent to be refused.
const CONFIG: &str = "\
[inbox]
messages_max = 100000000
bytes_max = \"1TiB\"

[store]
disk_free_bytes_min = \"0B\"
";

/// Kills a broker in `directory`, which is empty, as often as `options` say, and checks what it promised.
pub fn run(directory: &Path, options: &Options) -> Report {
    let started = Instant::now();
    let config = format!(
        "{CONFIG}engine = \"{}\"\n\n[mqtt]\nmessage_bytes_max = \"{}B\"\n{}",
        options.engine.name(),
        notices::PAYLOAD_BYTES_MAX,
        options.ordinary.keys()
    );
    std::fs::write(directory.join("inboxd.toml"), config).expect("the directory can be written");
    let ledger = Arc::new(Ledger::new(options.ordinary));
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut report = Report::new(options.seed);
    while report.kills < u64::from(options.kills) && ledger.is_clean() {
        let mut plan = Plan::random(&mut rng);
        let number = ledger.begin_life();
        plan.router = options.router.of_life(number, options.seed);
        if options.verbose {
            eprintln!("life {number}: {plan:?}");
        }
        live(directory, &plan, &ledger, options.seed, &mut report);
    }
    if ledger.is_clean() {
        drain(directory, options, &ledger, &mut report);
    }
    report.finish(&ledger, started.elapsed());
    report
}

/// One life of the broker, from its start to its death.
fn live(directory: &Path, plan: &Plan, ledger: &Arc<Ledger>, seed: u64, report: &mut Report) {
    let mut process = Process::start(directory, plan, ledger);
    if let Moment::Start(after) = plan.moment {
        std::thread::sleep(after);
        let end = process.kill9();
        report.kills += 1;
        report.kills_at_start += 1;
        ledger.end_life(false);
        check_end(&end, false, ledger);
        return;
    }
    let Some(port) = process.wait_until_ready() else {
        let end = process.kill9();
        ledger.violation(format!("the broker did not become ready: {end:?}"));
        return;
    };
    let life = Life::new(port, ledger.clone(), plan, seed);
    let during = During {
        port,
        is_over: &|| life.is_over(),
        counts: &|| true,
        may_refuse: life.may_refuse,
    };
    std::thread::scope(|scope| {
        for publisher in 0..message::PUBLISHERS {
            scope.spawn({
                let life = &life;
                move || publisher::publish(life, publisher)
            });
        }
        for reader in 0..message::READERS {
            scope.spawn({
                let life = &life;
                move || reader::read(life, reader)
            });
        }
        scope.spawn(|| ledger.asking.send(during, &mut life.rng(300)));
        scope.spawn(|| ledger.asking.read(during, &mut life.rng(301)));
        scope.spawn(|| ledger.ordinary.live(during, &mut life.rng(400)));
        std::thread::sleep(plan.run);
        if plan.second_broker {
            second_broker(directory, &process, ledger);
            report.second_brokers += 1;
        }
        let mut asked = false;
        if let Moment::Shutdown(after) = plan.moment {
            asked = true;
            life.shutting_down();
            process.terminate();
            std::thread::sleep(after);
        }
        let end = process.kill9();
        life.over();
        let was_orderly = matches!(end, End { code: Some(0), .. });
        report.count_kill(asked, was_orderly, plan);
        ledger.end_life(was_orderly);
        check_end(&end, asked, ledger);
    });
    report.refused += life.refused();
}

/// It must have lived until it was killed, or have ended well when it was asked to.
fn check_end(end: &End, asked: bool, ledger: &Ledger) {
    let was_killed = end.signal == Some(libc::SIGKILL);
    let ended_well = asked && end.code == Some(0);
    if !(was_killed || ended_well) {
        ledger.violation(format!("the broker ended by itself: {end:?}"));
    }
    if end.stderr.contains("panicked at") {
        ledger.violation(format!("the broker panicked: {end:?}"));
    }
}

/// A second broker on the same directory must end with 75 and change nothing. The first one stands still meanwhile, so that
/// every change would be the second one's.
fn second_broker(directory: &Path, first: &Process, ledger: &Ledger) {
    first.stop();
    let before = process::snapshot(&directory.join("data"));
    let code = process::exit_code_of_another(directory);
    let after = process::snapshot(&directory.join("data"));
    first.go_on();
    if code != Some(75) {
        ledger.violation(format!(
            "a second broker on the same directory ended with {code:?}, not with 75"
        ));
    }
    if before != after {
        ledger.violation(format!(
            "a second broker changed the directory: {before:?} became {after:?}"
        ));
    }
}

/// The last life: every inbox is read to its end, and then nothing may be left in the store.
fn drain(directory: &Path, options: &Options, ledger: &Arc<Ledger>, report: &mut Report) {
    let number = ledger.begin_life();
    let mut plan = Plan::calm();
    plan.router = options.router.of_life(number, options.seed);
    let mut process = Process::start(directory, &plan, ledger);
    let Some(port) = process.wait_until_ready() else {
        ledger.violation(format!(
            "the broker did not become ready at the end: {:?}",
            process.kill9()
        ));
        return;
    };
    let life = Life::new(port, ledger.clone(), &plan, report.seed);
    std::thread::scope(|scope| {
        for publisher in (0..message::PUBLISHERS).filter(|publisher| notices::is_bounced(*publisher)) {
            scope.spawn({
                let life = &life;
                move || publisher::drain(life, publisher)
            });
        }
        for inbox in 0..message::INBOXES {
            scope.spawn({
                let life = &life;
                move || reader::drain(life, inbox)
            });
        }
        scope.spawn(|| ledger.asking.finish(port));
        scope.spawn(|| ledger.ordinary.finish(port));
    });
    process.terminate();
    let end = process.wait(Duration::from_secs(60));
    life.over();
    if end.code != Some(0) || end.stderr.contains("panicked at") {
        ledger.violation(format!("the last shutdown was not orderly: {end:?}"));
    }
    ledger.end_life(true);
    let left = process::inbox_list(directory);
    if !left.trim().is_empty() {
        ledger.violation(format!(
            "everything was acknowledged, and these inboxes are not empty: {left}"
        ));
    }
    ledger.check_nothing_is_lost();
}
