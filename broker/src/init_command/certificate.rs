//! A certificate for trials, which nobody but its own key signed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};

/// A certificate and its key, in PEM.
pub(super) struct Trial {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// For this machine by its name and by loopback, from yesterday on, for a year.
pub(super) fn for_trials() -> Result<Trial, rcgen::Error> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(host_name());
    let mut params = CertificateParams::new(names)?;
    for loopback in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        params.subject_alt_names.push(SanType::IpAddress(loopback));
    }
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, "inboxd, for trials");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    for (time, date) in [
        (&mut params.not_before, today.saturating_sub(1.day())),
        (&mut params.not_after, today.saturating_add(1.year())),
    ] {
        *time = date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        );
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Trial {
        certificate,
        key: key.serialize_pem(),
    })
}

/// The name of this machine, if it can be one in a certificate.
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name != "localhost"
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    is_name.then(|| name.to_owned())
}
