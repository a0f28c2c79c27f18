//! What is read from certificates.

use std::time::{Duration, SystemTime};

use access::Certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The time within which a certificate is valid.
#[derive(Debug, Clone)]
pub(super) struct Validity {
    pub(super) begins: SystemTime,
    pub(super) begins_text: String,
    pub(super) ends: SystemTime,
    pub(super) ends_text: String,
}

/// The names in a certificate; `None` when it cannot be read.
pub(super) fn names(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let common_name = certificate.subject().iter_common_name().next();
    let alternative_names = certificate.subject_alternative_name().ok()?;
    let alternative_names = alternative_names.map_or(&[][..], |extension| &extension.value.general_names);
    Some(Certificate {
        common_name: common_name.and_then(|name| name.as_str().ok()).map(Box::from),
        alternative_names: alternative_names.iter().filter_map(text).map(Box::from).collect(),
    })
}

fn text<'n>(name: &'n GeneralName<'_>) -> Option<&'n str> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some(text),
        _ => None,
    }
}

/// Whether who signed a certificate is whom it is for.
pub(super) fn is_self_signed(der: &[u8]) -> bool {
    let read = X509Certificate::from_der(der);
    read.is_ok_and(|(_, certificate)| certificate.issuer().as_raw() == certificate.subject().as_raw())
}

/// When a certificate is valid; `None` when it cannot be read.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let (begins, ends) = (certificate.validity().not_before, certificate.validity().not_after);
    Some(Validity {
        begins: system_time(begins),
        begins_text: begins.to_string(),
        ends: system_time(ends),
        ends_text: ends.to_string(),
    })
}

fn system_time(time: ASN1Time) -> SystemTime {
    let since = u64::try_from(time.timestamp()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since)
}
