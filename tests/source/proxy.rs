//! TLS and proxies: a proxy of this machine leads to a server that nobody else knows.

use super::home::Home;
use super::package::release;
use super::server::{Server, reply};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const HOST: &str = "packages.example";

/// A proxy at which the host has a release, and the host's certificate in PEM.
fn proxy() -> (Server, String) {
    let certified = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config =
        Arc::new(config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
    let server = Server::start(move |request, _, stream| {
        if request.method != "CONNECT" {
            return reply(stream, "400 Bad Request", &[], b"");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
        let mut tls = BufReader::new(StreamOwned::new(connection, stream));
        for line in tls.by_ref().lines() {
            if line?.is_empty() {
                break;
            }
        }
        let tls = tls.get_mut();
        reply(tls, "200 OK", &[], &release("1.30.3"))?;
        tls.conn.send_close_notify();
        tls.flush()
    });
    (server, pem)
}

#[test]
fn a_server_behind_a_proxy_is_checked_with_the_bundle_of_certificates() {
    let ((server, pem), dir) = (proxy(), tempfile::tempdir().unwrap());
    let bundle = dir.path().join("ca.pem");
    std::fs::write(&bundle, pem).unwrap();
    let (bundle, location) = (bundle.to_str().unwrap(), format!("https://{HOST}/a.tgz"));
    for proxy in [format!("http://{}", server.address), format!("http://user:word@{}", server.address)] {
        let home = Home::new().with("HTTPS_PROXY", &proxy);
        let ended = home.run(&["release", "fetch", "-q", "--ca-bundle", bundle, &location]);
        assert_eq!(ended.succeeded().said("version"), "1.30.3");
    }
    assert_eq!(server.paths(), ["packages.example:443"; 2]);
    assert_eq!(server.requests()[1].header("proxy-authorization"), Some("Basic dXNlcjp3b3Jk"));
}

#[test]
fn a_server_whose_certificate_nobody_knows_is_not_trusted() {
    let ((server, _), dir) = (proxy(), tempfile::tempdir().unwrap());
    let home = Home::new().with("https_proxy", &format!("http://{}", server.address));
    let location = format!("https://{HOST}/a.tgz");
    home.fetch(&location).failed_with(
        "no trusted connection: invalid peer certificate: UnknownIssuer; give the server's CA with --ca-bundle",
    );
    let wrong = dir.path().join("wrong.pem");
    std::fs::write(&wrong, "no certificate").unwrap();
    for (bundle, words) in
        [(wrong.to_str().unwrap(), "it has none; it must have certificates in PEM"), ("/nowhere", "/nowhere")]
    {
        home.run(&["release", "fetch", "-q", "--ca-bundle", bundle, &location]).failed_with(words);
    }
}

#[test]
fn a_host_that_is_no_proxys_is_asked_itself() {
    let (server, _) = proxy();
    let proxy = format!("http://{}", server.address);
    let home = Home::new().with("HTTPS_PROXY", &proxy).with("NO_PROXY", HOST);
    let location = format!("https://{HOST}/a.tgz");
    home.run(&["release", "fetch", "-q", "--fetch-timeout", "5s", &location]).failed_with(HOST);
    assert!(server.requests().is_empty());
    // This machine is always asked itself.
    let (home, local) =
        (Home::new().with("HTTP_PROXY", &proxy).with("ALL_PROXY", &proxy), Server::with(release("1.30.3")));
    home.fetch(&local.url("/a.tgz")).succeeded();
    assert!(server.requests().is_empty());
}

#[test]
fn a_proxy_that_cannot_be_meant_is_told_and_never_passed_by() {
    let location = format!("https://{HOST}/a.tgz");
    for (value, words) in [
        ("ftp://me:secret@there", "it speaks ftp, which is not known here"),
        ("http://", "its address is not valid"),
        ("http://a b", "its address is not valid"),
    ] {
        let ended = Home::new().with("HTTPS_PROXY", value).fetch(&location);
        ended.failed_with(&format!("the proxy of HTTPS_PROXY or ALL_PROXY cannot be used: {words}"));
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
    let (server, _) = proxy();
    let all = format!("http://{}", server.address);
    let home = Home::new().with("HTTPS_PROXY", "").with("https_proxy", &all).with("ALL_PROXY", "http://127.0.0.1:1");
    home.fetch(&location).failed_with("UnknownIssuer");
    let home = Home::new().with("HTTPS_PROXY", "").with("ALL_PROXY", &all);
    home.fetch(&location).failed_with("UnknownIssuer");
    assert_eq!(server.paths(), ["packages.example:443"; 2]);
}

/// A SOCKS proxy that sends all it gets on to an HTTP proxy; gives its address.
fn socks(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut far = TcpStream::connect(to).unwrap();
        near.read_exact(&mut [0; 3]).unwrap();
        near.write_all(&[5, 0]).unwrap();
        let mut wanted = [0; 5 + HOST.len() + 2];
        near.read_exact(&mut wanted).unwrap();
        assert!(wanted.ends_with(&[HOST.as_bytes(), &443_u16.to_be_bytes()].concat()), "{wanted:?}");
        far.write_all(format!("CONNECT {HOST}:443 HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        far.read_exact(&mut [0; b"HTTP/1.1 200 OK\r\n\r\n".len()]).unwrap();
        near.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let (mut from_far, mut to_near) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_far, &mut to_near));
        std::io::copy(&mut near, &mut far)
    });
    address
}

#[test]
fn a_socks_proxy_leads_to_a_server_whose_name_it_resolves() {
    let ((server, pem), dir) = (proxy(), tempfile::tempdir().unwrap());
    let bundle = dir.path().join("ca.pem");
    std::fs::write(&bundle, pem).unwrap();
    let home = Home::new().with("ALL_PROXY", &format!("socks5://{}", socks(server.address.clone())));
    let location = format!("https://{HOST}/a.tgz");
    let ended = home.run(&["release", "fetch", "-q", "--ca-bundle", bundle.to_str().unwrap(), &location]);
    assert_eq!(ended.succeeded().said("version"), "1.30.3");
}

#[test]
fn a_server_without_tls_is_told_from_one_that_is_not_trusted() {
    let server = Server::with(release("1.30.3"));
    let location = server.url("/a.tgz").replace("http://", "https://");
    let ended = Home::new().run(&["release", "fetch", "-q", "--fetch-timeout", "10s", &location]);
    ended.failed_with("cannot be reached");
    assert!(!ended.stderr.contains("--ca-bundle"), "{}", ended.stderr);
}
