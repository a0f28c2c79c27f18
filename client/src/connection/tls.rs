//! Why TLS was not set up.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsFailure};

use crate::error::CertificateFault;

/// What is wrong with the broker's certificate, if that is what failed. It comes inside of errors of the socket, on whose way rumqttc and, for
/// WebSockets, tungstenite put others around it.
pub(super) fn fault_of_certificate(error: &(dyn Error + 'static)) -> Option<CertificateFault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(TlsFailure::InvalidCertificate(fault)) = error.downcast_ref() {
            return known(fault);
        }
        next = match error.downcast_ref::<io::Error>() {
            // Its source is that of what it holds, and not what it holds.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// `None` for one that is not valid yet: that passes by itself, as where a clock is set after the start.
fn known(fault: &CertificateError) -> Option<CertificateFault> {
    match fault {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => None,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some(CertificateFault::Expired),
        // The signature is bad where an authority was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(CertificateFault::UnknownAuthority),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(CertificateFault::OtherName)
        }
        _ => Some(CertificateFault::Unusable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_from_a_network_that_fails() {
        // Goal: however deep it is, what is wrong with a certificate is found; one that becomes valid, and what is no certificate, is not.
        let inside = |fault| io::Error::new(io::ErrorKind::InvalidData, TlsFailure::InvalidCertificate(fault));
        let found = |error: io::Error| fault_of_certificate(&rumqttc::TlsError::Io(io::Error::other(error)));
        for (fault, known) in [
            (CertificateError::Expired, Some(CertificateFault::Expired)),
            (
                CertificateError::UnknownIssuer,
                Some(CertificateFault::UnknownAuthority),
            ),
            (CertificateError::NotValidForName, Some(CertificateFault::OtherName)),
            (CertificateError::BadSignature, Some(CertificateFault::UnknownAuthority)),
            (CertificateError::Revoked, Some(CertificateFault::Unusable)),
            (CertificateError::NotValidYet, None),
        ] {
            assert_eq!(found(inside(fault)), known);
        }
        assert_eq!(found(io::ErrorKind::ConnectionReset.into()), None);
        assert_eq!(found(io::Error::other(TlsFailure::HandshakeNotComplete)), None);
    }
}
