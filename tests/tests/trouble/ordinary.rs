//! The books that `cargo xtask crash --ordinary …` keeps, against a broker that does not die: what they hold against one that does must not come from themselves.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use inbox_tests::crash::{During, Ordinary, Parts};
use inbox_tests::{Broker, BrokerOptions, wait_until};
use rand::SeedableRng;
use rand::rngs::StdRng;

const LIVES: u64 = 4;

#[test]
fn a_broker_that_lives_keeps_what_the_books_of_ordinary_topics_ask_for() {
    // Goal: clients that come and go as over four lives of the broker, and none of these is another one: nothing is missing, and everything was tried. With each engine
    // of ordinary topics.
    for router in ["native", "rumqttd"] {
        let broker = Broker::start_with(BrokerOptions {
            config: Some(format!(
                "[router]\nengine = \"{router}\"\n\n[mqtt]\n{}",
                Parts::ALL.keys()
            )),
            ..Default::default()
        });
        let ordinary = Ordinary::new(Parts::ALL);
        for life in 0..LIVES {
            live(&ordinary, broker.port(), life);
        }
        ordinary.finish(broker.port());
        let wrong = ordinary.violations();
        assert!(wrong.is_empty(), "{router}: {wrong:?}");
        let (retained, sessions, wills) = ordinary.checked();
        eprintln!("{router}: {retained}\n{sessions}\n{wills}");
        assert!(
            retained.looks > LIVES && retained.found > 50 && retained.empty > 10,
            "{retained}"
        );
        assert!(sessions.due > 1000 && sessions.deliveries >= sessions.due, "{sessions}");
        assert!(
            sessions.replayed > 20,
            "some messages were taken without a word: {sessions}"
        );
        assert!(sessions.resumed > 30 && sessions.ended > 0, "{sessions}");
        assert!(wills.due > 10 && wills.left > 10 && wills.again == 0, "{wills}");
    }
}

/// All clients at once, until there was traffic.
fn live(ordinary: &Ordinary, port: u16, life: u64) {
    let is_over = AtomicBool::new(false);
    let during = During {
        port,
        is_over: &|| is_over.load(Relaxed),
        counts: &|| true,
        may_refuse: false,
    };
    thread::scope(|scope| {
        scope.spawn(|| ordinary.live(during, &mut StdRng::seed_from_u64(life)));
        let before = ordinary.checked();
        wait_until("there was traffic", || {
            let now = ordinary.checked();
            now.0.looks >= before.0.looks + 3 && now.1.pubacks >= before.1.pubacks + 600
        });
        is_over.store(true, Relaxed);
    });
}
