//! The files that TLS needs, and what is wrong with them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::{self, Validity};

/// A certificate whose time is over so soon is told about.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked to.
    #[default]
    No,
    /// They may; one that is shown must be valid.
    Optional,
    /// They must.
    Required,
}

/// Which files a listener takes certificate and key from, and whom it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The broker's certificate, and what leads from it to one that clients know, in PEM.
    pub certificate: PathBuf,
    /// The private key that belongs to it, in PEM.
    pub key: PathBuf,
    /// The certificates, in PEM, of those who sign client certificates.
    pub client_ca: Option<PathBuf>,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
}

/// Why files cannot be used. Each message is one sentence for the operator, who must act.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {} ({why}); check the path, and that the broker may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {wanted} in PEM, or a damaged one ({why})", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What the reader says.
        #[source]
        why: pem::Error,
    },
    /// A certificate cannot be used.
    #[error("the certificate in {} cannot be used ({why})", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        why: rustls::Error,
    },
    /// The key belongs to another certificate, or is of a kind that is not supported.
    #[error(
        "the key in {} does not go with the certificate in {} ({why}); the certificate file must begin with the certificate of that key",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What is wrong with them.
        #[source]
        why: rustls::Error,
    },
    /// The certificates of those who sign client certificates cannot be used.
    #[error("the certificates in {} cannot be used to check client certificates ({why})", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        why: VerifierBuilderError,
    },
    /// The crypto library lacks what every TLS needs.
    #[error("the crypto library does not support TLS 1.2 and 1.3 ({0})")]
    Unsupported(#[source] rustls::Error),
}

/// What an operator should know of a certificate that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    path: PathBuf,
    what: &'static str,
    when: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { path, what, when } = self;
        write!(
            f,
            "the certificate in {} {what} {when}; renew it, then send SIGHUP",
            path.display()
        )
    }
}

impl TlsFiles {
    /// Whether nobody but the broker itself says that the certificate is the broker's. One that cannot be read is not.
    pub fn is_self_signed(&self) -> bool {
        let chain = certificates(&self.certificate);
        chain.is_ok_and(|chain| chain.first().is_some_and(|first| certificate::is_self_signed(first)))
    }

    /// Reads and checks all of it. `alpn` is the name by which clients ask for what is spoken over TLS.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(super) fn load(&self, provider: &Arc<CryptoProvider>, alpn: &[u8]) -> Result<Loaded, TlsError> {
        let chain = certificates(&self.certificate)?;
        let validity = chain.first().and_then(|first| certificate::validity(first));
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(not_pem(&self.key, "private key without a passphrase"))?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unsupported)?;
        let builder = match &self.client_ca {
            Some(path) if self.client_certificates != ClientCertificates::No => {
                let roots = Arc::new(roots(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                let verifier = match self.client_certificates {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let path = path.clone();
                let verifier = verifier.build().map_err(|why| TlsError::ClientCa { path, why })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|why| TlsError::Mismatch {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            why,
        })?;
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Loaded {
            config: Arc::new(config),
            validity,
        })
    }
}

/// What was read, and checked.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate is valid; `None` when nobody can tell.
    validity: Option<Validity>,
}

impl Loaded {
    /// What an operator should know at this time of the certificate, which is in the file at `path`.
    pub(super) fn remark(&self, path: &Path, now: SystemTime) -> Option<Remark> {
        let validity = self.validity.as_ref()?;
        let (what, when) = if validity.ends < now {
            ("was valid until", &validity.ends_text)
        } else if validity.begins > now {
            ("is not valid before", &validity.begins_text)
        } else if validity.ends < now + SOON {
            ("is valid only until", &validity.ends_text)
        } else {
            return None;
        };
        let (path, when) = (path.to_owned(), when.clone());
        Some(Remark { path, what, when })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    match read().map_err(not_pem(path, "certificate"))? {
        none if none.is_empty() => Err(not_pem(path, "certificate")(pem::Error::NoItemsFound)),
        some => Ok(some),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root).map_err(|why| TlsError::Certificate {
            path: path.to_owned(),
            why,
        })?;
    }
    Ok(roots)
}

fn not_pem(path: &Path, wanted: &'static str) -> impl Fn(pem::Error) -> TlsError {
    move |why| {
        let path = path.to_owned();
        match why {
            pem::Error::Io(why) => TlsError::Unreadable { path, why },
            why => TlsError::NotPem { path, wanted, why },
        }
    }
}
