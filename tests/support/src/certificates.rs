//! Certificates for tests: authorities, and what they sign.
#![allow(clippy::expect_used, reason = "for tests only")]

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one, with a key of its own.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for a broker on this machine.
    pub fn broker(&self) -> Signed {
        self.sign("localhost", |_| {})
    }

    /// The same, whose time was over long ago.
    pub fn expired_broker(&self) -> Signed {
        self.sign("localhost", |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    }

    /// A certificate for the client of this user: a common name, an e-mail address, a DNS name and a URI.
    pub fn client(&self, user: &str) -> Signed {
        self.sign(user, |params| {
            let text = |text: String| text.try_into().expect("ASCII");
            params.subject_alt_names = vec![
                SanType::Rfc822Name(text(format!("{user}@example.org"))),
                SanType::DnsName(text(format!("{user}.example.org"))),
                SanType::URI(text(format!("urn:user:{user}"))),
            ];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    fn sign(&self, name: &str, set: impl FnOnce(&mut CertificateParams)) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("ASCII");
        params.distinguished_name.push(DnType::CommonName, name);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.subject_alt_names.push(SanType::IpAddress(here));
        set(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Signed {
            certificate,
            key: key.serialize_pem(),
        }
    }
}
