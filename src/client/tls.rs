//! TLS settings, loaded when the first https request needs them.

use crate::model::{Fault, FaultClass};
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::fault::fault;

/// A connector that trusts the system's roots (or those of `SSL_CERT_FILE`) and the extra ones, and offers HTTP/2.
pub(super) async fn load(extra: Vec<CertificateDer<'static>>) -> Result<TlsConnector, Fault> {
    let failed = |why: String| fault(FaultClass::Tls, why);
    let loaded = tokio::task::spawn_blocking(move || build(extra)).await;
    loaded.map_err(|e| failed(format!("loading root certificates: {e}")))?.map_err(failed)
}

fn build(extra: Vec<CertificateDer<'static>>) -> Result<TlsConnector, String> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    for root in extra {
        roots.add(root).map_err(|e| format!("an extra root certificate cannot be used: {e}"))?;
    }
    if roots.is_empty() {
        let why = system.errors.first().map_or_else(String::new, |e| format!(" ({e})"));
        return Err(format!(
            "no root certificates found{why}; set SSL_CERT_FILE to a PEM file with the roots to trust"
        ));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
