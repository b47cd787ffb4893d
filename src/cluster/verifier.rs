//! A server that shows the very certificate that the kubeconfig names as its authority: one that signed itself, as simple
//! tools make them. kubectl takes it, and the usual verification does not, since it is made for signing.

use super::identity;
use k8s_openapi::jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Takes what the usual verification takes, and one of the authorities itself.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    authorities: Vec<CertificateDer<'static>>,
    usual: Arc<WebPkiServerVerifier>,
}

impl OwnCertificate {
    /// Has connections verified so. Where the authorities are in a file that is read again, verification stays as it is.
    pub(super) fn extend(tls: &mut ClientConfig, authorities: Vec<CertificateDer<'static>>, file: Option<&Path>) {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let provider = Arc::clone(tls.crypto_provider());
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        // Without any authority the configuration has failed before.
        if let Ok(usual) = built
            && file.is_none()
        {
            tls.dangerous().set_certificate_verifier(Arc::new(Self { authorities, usual }));
        }
    }

    fn is_own(&self, shown: &CertificateDer<'_>, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let is_valid =
            |now: Timestamp| identity::validity(shown.as_ref()).is_some_and(|(from, to)| (from..=to).contains(&now));
        self.authorities.iter().any(|authority| authority.as_ref() == shown.as_ref()) && now.is_some_and(is_valid)
    }
}

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match usual {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.is_own(end_entity, now) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
