//! Tests of quotas: by hand, and connections against a model.

use std::net::IpAddr;
use std::sync::Arc;

use inbox_types::ClientId;
use proptest::prelude::*;

use super::*;
use crate::identity::Account;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn who(user: &str, client: &str, roles: &[&str]) -> Identity {
    let account = Account {
        user: user.into(),
        roles: roles.iter().map(|role| Box::from(*role)).collect(),
        ..Account::default()
    };
    Identity::of(ClientId::new(client).unwrap(), Arc::new(account))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn without_limits_nothing_is_counted() {
    // Goal: a broker whose operator limits nothing keeps no table of addresses and users, and slows nobody down.
    let quotas = Quotas::default();
    assert!(quotas.address(address("192.0.2.1"), at(0)).unwrap().is_none());
    assert!(quotas.user(&who("alice", "alice", &[]), at(0)).unwrap().is_none());
    assert_eq!(quotas.pace(&who("alice", "alice", &[])), None);
    assert_eq!(quotas.connections.known(), 0);
}

#[test]
fn an_address_has_so_many_connections_at_a_time() {
    // Goal: connections count until they end; an IPv6 network of 64 bits is one address, an IPv4 address in IPv6 form is that address.
    let quotas = Quotas::new(QuotaLimits {
        connections_per_address: Some(2),
        ..QuotaLimits::default()
    });
    let enter = |text: &str| quotas.address(address(text), at(0)).map(|held| held.unwrap());
    for (first, second, third) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3"),
    ] {
        let held = [enter(first).unwrap(), enter(second).unwrap()];
        assert_eq!(enter(third).unwrap_err(), OverQuota::AddressConnections(2));
        drop(held);
        assert!(enter(third).is_ok());
    }
    let _one = [enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap()];
    assert!(enter("192.0.2.2").is_ok() && enter("2001:db8:0:2::1").is_ok());
}

#[test]
fn an_address_begins_connections_at_a_rate() {
    // Goal: a burst of one second's connections, then the rate; what is refused costs nothing.
    let quotas = Quotas::new(QuotaLimits {
        connects_per_second: Some(10),
        ..QuotaLimits::default()
    });
    let enter = |millis| quotas.address(address("192.0.2.1"), at(millis)).is_ok();
    let at_once = (0..100).filter(|_| enter(5000)).count();
    assert!((10..=11).contains(&at_once), "{at_once}");
    let in_two_seconds = (5000..7000).filter(|millis| enter(*millis)).count();
    assert!((19..=21).contains(&in_two_seconds), "{in_two_seconds}");
}

#[test]
fn a_user_has_so_many_clients_and_takes_over_its_own() {
    // Goal: client IDs count, not connections, so that a client whose old connection is not known to be dead comes in again.
    let quotas = Quotas::new(QuotaLimits {
        everybody: RoleQuota {
            connections_per_user: Some(2),
            ..RoleQuota::default()
        },
        roles: vec![("service".into(), RoleQuota::default())],
        ..QuotaLimits::default()
    });
    let enter = |client: &str| quotas.user(&who("alice", client, &[]), at(0)).map(|held| held.unwrap());
    let (phone, laptop) = (enter("alice~phone").unwrap(), enter("alice~laptop").unwrap());
    assert_eq!(enter("alice~tv").unwrap_err(), OverQuota::UserConnections(2));
    let again = enter("alice~phone").unwrap();
    drop(phone);
    assert_eq!(enter("alice~tv").unwrap_err(), OverQuota::UserConnections(2));
    drop(again);
    let _tv = enter("alice~tv").unwrap();
    drop(laptop);
    assert!(
        quotas.user(&who("bob", "bob", &[]), at(0)).unwrap().is_some(),
        "another user has its own"
    );
    for n in 0..10 {
        let service = who("alice", &format!("s{n}"), &["x", "service"]);
        assert!(
            quotas.user(&service, at(0)).unwrap().is_none(),
            "its role is not limited"
        );
    }
}

#[test]
fn who_publishes_too_fast_waits() {
    // Goal: a burst of one second, then the rate, by number and by bytes; a message larger than a second's bytes is waited for.
    let pace = |publishes, bytes| {
        let everybody = RoleQuota {
            publishes_per_second: publishes,
            publish_bytes_per_second: bytes,
            ..RoleQuota::default()
        };
        let limits = QuotaLimits {
            everybody,
            ..QuotaLimits::default()
        };
        Quotas::new(limits).pace(&who("alice", "alice", &[])).unwrap()
    };
    // Publishes `size` bytes whenever it may, for ten seconds; gives how many publishes that were.
    let run = |mut pace: Box<Pace>, size| {
        let mut published = 0;
        let mut now = at(60_000);
        while now <= at(70_000) {
            pace.published(size, now);
            published += 1;
            pace.time_passed(now);
            now = pace.waits_until().unwrap_or(now);
        }
        published
    };
    assert!((1099..=1102).contains(&run(pace(Some(100), None), 5)));
    assert!((10..=12).contains(&run(pace(None, Some(1000)), 1000)));
    assert!((1..=3).contains(&run(pace(None, Some(1000)), 6000)));
    assert!(
        (10..=12).contains(&run(pace(Some(100), Some(1000)), 1000)),
        "both count"
    );
    let mut free = pace(Some(u32::MAX), Some(u64::MAX));
    free.published(usize::MAX, at(1));
    assert_eq!(free.waits_until(), None, "no number is too large");
}

proptest! {
    #[test]
    fn connections_are_counted_like_a_model(steps in prop::collection::vec((0..4_u8, 0..3_usize, any::<bool>()), 0..200)) {
        // Goal: whatever comes and goes, an address has at most as many as it may, is let in whenever it has fewer, and nothing is
        // remembered of it in the end.
        let quotas = Quotas::new(QuotaLimits { connections_per_address: Some(3), ..QuotaLimits::default() });
        let mut open: Vec<Vec<Box<Held>>> = (0..4).map(|_| Vec::new()).collect();
        for (host, which, comes) in steps {
            let of_host = &mut open[usize::from(host)];
            if comes {
                let entered = quotas.address(IpAddr::from([192, 0, 2, host]), at(0));
                prop_assert_eq!(entered.is_ok(), of_host.len() < 3);
                of_host.extend(entered.ok().flatten());
            } else if which < of_host.len() {
                of_host.swap_remove(which);
            }
        }
        drop(open);
        prop_assert_eq!(quotas.connections.known(), 0);
    }
}

#[test]
fn addresses_that_are_gone_are_forgotten() {
    // Goal: a table of rates does not grow with every address that ever came.
    let quotas = Quotas::new(QuotaLimits {
        connects_per_second: Some(1),
        ..QuotaLimits::default()
    });
    for n in 0..100_000_u32 {
        let now = at(u64::from(n) * 10);
        drop(quotas.address(IpAddr::from(n.to_be_bytes()), now).unwrap());
    }
    assert!(quotas.connections.known() < 4096, "{}", quotas.connections.known());
}
