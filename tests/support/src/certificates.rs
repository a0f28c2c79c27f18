//! Certificates for tests: authorities, and what they sign.
#![allow(clippy::expect_used, reason = "for tests only")]

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PublicKeyData,
    SanType, date_time_ymd,
};
use tempfile::TempDir;

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
    /// Its public part, as a browser pins it: SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
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
            public_key: key.subject_public_key_info(),
        }
    }
}

/// The files of a listener with TLS, in a directory of their own: `cert.pem`, `key.pem`, and `ca.pem` of who signed them.
pub struct Files {
    directory: TempDir,
    /// Who signed them.
    pub authority: Authority,
}

impl Files {
    /// Those of a broker on this machine.
    pub fn of_a_broker() -> Self {
        let files = Files {
            directory: tempfile::tempdir().expect("a directory"),
            authority: Authority::new("inboxd tests"),
        };
        files.write("", &files.authority.broker());
        fs::write(files.path("ca.pem"), &files.authority.pem).expect("a file");
        files
    }

    /// The path of the file with this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate and its key, which is for its owner alone; `prefix` begins their names.
    pub fn write(&self, prefix: &str, signed: &Signed) {
        fs::write(self.path(&format!("{prefix}cert.pem")), &signed.certificate).expect("a file");
        let key = self.path(&format!("{prefix}key.pem"));
        fs::write(&key, &signed.key).expect("a file");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("it is ours");
    }
}
