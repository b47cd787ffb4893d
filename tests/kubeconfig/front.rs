//! A server in place of the API server, which answers a review with what it was sent.

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// How it answers.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// Without TLS.
    pub is_plain: bool,
    /// Compressed, also where nobody asked for it.
    pub is_compressed: bool,
    /// With so many bytes more.
    pub padding: usize,
}

/// See the module.
pub struct Front {
    pub address: SocketAddr,
    /// Its certificate, which signed itself.
    pub certificate: String,
    _runtime: Runtime,
}

/// A certificate that signed itself, as `openssl req -x509` makes one, and its key; in PEM.
pub fn own_certificate(names: &[&str]) -> (String, String) {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    (issuer.pem(), issuer.key().serialize_pem())
}

/// What takes TLS connections with a certificate.
pub fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

impl Front {
    pub fn start(address: &str, names: &[&str], manner: Manner) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate, key) = own_certificate(names);
        let acceptor = acceptor(&certificate, &key);
        runtime.spawn(serve(listener, acceptor, manner));
        Self { address, certificate, _runtime: runtime }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, manner: Manner) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| std::future::ready(answer(&request, manner)));
            if manner.is_plain {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            } else if let Ok(stream) = acceptor.accept(stream).await {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

fn seen(headers: &HeaderMap) -> String {
    let of = |name: &str| {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(",")
    };
    let names =
        ["authorization", "impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-reason"];
    names.map(of).join(" | ")
}

fn answer(request: &Request<Incoming>, manner: Manner) -> Result<Response<Full<Bytes>>, http::Error> {
    if !request.uri().path().ends_with("/apis/authentication.k8s.io/v1/selfsubjectreviews") {
        return Response::builder().status(StatusCode::NOT_FOUND).body(Full::default());
    }
    let name = format!("{} {}", seen(request.headers()), request.uri().path());
    let status = json!({"userInfo": {"username": name, "uid": "x".repeat(manner.padding)}});
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "status": status});
    let mut body = review.to_string().into_bytes();
    let mut response = Response::builder().status(StatusCode::CREATED).header("content-type", "application/json");
    if manner.is_compressed {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(&body).unwrap();
        body = encoder.finish().unwrap();
        response = response.header("content-encoding", "gzip");
    }
    response.body(Full::from(body))
}
