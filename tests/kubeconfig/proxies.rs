//! Proxies before the API server.

use crate::ask::Call;
use crate::front::{Front, Manner, acceptor, own_certificate};
use crate::world::Wanted::{Answer, Refusal};
use crate::world::{Row, Wanted, World, call, config, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What a proxy speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Http,
    Https,
    Socks,
}

/// A proxy that takes every name for this machine, and wants `me` and `hush` where it wants a password.
struct Proxy {
    address: SocketAddr,
    certificate: String,
    used: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Proxy {
    fn start(speech: Speech, wants_password: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate, key) = own_certificate(&["localhost", "127.0.0.1"]);
        let acceptor = acceptor(&certificate, &key);
        let used = Arc::new(AtomicUsize::default());
        let count = Arc::clone(&used);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let led = match speech {
                        Speech::Http => http(stream, wants_password, &count).await,
                        Speech::Https => match acceptor.accept(stream).await {
                            Ok(stream) => http(stream, wants_password, &count).await,
                            Err(error) => Err(error),
                        },
                        Speech::Socks => socks(stream, wants_password, &count).await,
                    };
                    // Clients that go are not failures of a proxy.
                    drop(led);
                });
            }
        });
        Self { address, certificate, used, _runtime: runtime }
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

async fn lead(mut client: impl AsyncRead + AsyncWrite + Unpin, first: &[u8], port: u16) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.write_all(first).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    wants_password: bool,
    used: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let wanted = format!("proxy-authorization: basic {}", STANDARD.encode("me:hush")).to_lowercase();
    if wants_password && !head.to_lowercase().contains(&wanted) {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    }
    used.fetch_add(1, Ordering::Relaxed);
    let target = head.split_whitespace().nth(1).unwrap_or_default();
    let port = |authority: &str| authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
    if head.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return lead(stream, b"", port(target)).await;
    }
    // A whole request, of which the server is to see the path only.
    let rest = target.strip_prefix("http://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let asked = head.replacen(target, &format!("/{path}"), 1);
    lead(stream, asked.as_bytes(), port(authority)).await
}

async fn socks(mut stream: TcpStream, wants_password: bool, used: &AtomicUsize) -> std::io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut methods = vec![0; head[1].into()];
    stream.read_exact(&mut methods).await?;
    let method = if wants_password { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, method]).await?;
    if wants_password {
        let mut said = vec![];
        stream.read_u8().await?;
        for _ in 0..2 {
            let mut part = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut part).await?;
            said.push(part);
        }
        let is_right = said == [b"me".to_vec(), b"hush".to_vec()];
        stream.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            return Ok(());
        }
    }
    let mut asked = [0; 4];
    stream.read_exact(&mut asked).await?;
    let length = match asked[3] {
        1 => 4,
        3 => stream.read_u8().await?.into(),
        _ => 16,
    };
    stream.read_exact(&mut vec![0; length]).await?;
    let port = stream.read_u16().await?;
    used.fetch_add(1, Ordering::Relaxed);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    lead(stream, b"", port).await
}

struct Proxies {
    plain: Proxy,
    locked: Proxy,
    secure: Proxy,
    socks: Proxy,
    locked_socks: Proxy,
}

impl Proxies {
    fn start() -> Self {
        Self {
            plain: Proxy::start(Speech::Http, false),
            locked: Proxy::start(Speech::Http, true),
            secure: Proxy::start(Speech::Https, true),
            socks: Proxy::start(Speech::Socks, false),
            locked_socks: Proxy::start(Speech::Socks, true),
        }
    }

    fn used(&self) -> usize {
        [&self.plain, &self.locked, &self.secure, &self.socks, &self.locked_socks].map(Proxy::used).iter().sum()
    }
}

#[test]
fn the_kubeconfigs_proxy_leads_to_the_api_server() {
    let (world, proxies) = (World::start(), Proxies::start());
    let ca = std::fs::read_to_string(world.of_plane("ca.crt")).unwrap();
    let both = world.file("both.crt", &(ca + &proxies.secure.certificate));
    let cluster = with(&world.cluster(), &json!({"certificate-authority": both, "certificate-authority-data": null}));
    let plain = Front::start("127.0.0.1:0", &["x"], Manner { is_plain: true, ..Manner::default() });
    let at = |proxy: &Proxy, scheme: &str, login: &str| format!("{scheme}://{login}{}", proxy.address);
    let rows = [
        ("http", at(&proxies.plain, "http", ""), Answer("admin")),
        ("http with a password", at(&proxies.locked, "http", "me:hush@"), Answer("admin")),
        ("http without its password", at(&proxies.locked, "http", ""), Refusal),
        ("http with a wrong password", at(&proxies.locked, "http", "me:hus@"), Refusal),
        ("https with a password", at(&proxies.secure, "https", "me:%68ush@"), Answer("admin")),
        ("socks5", at(&proxies.socks, "socks5", ""), Answer("admin")),
        ("socks5 with a password", at(&proxies.locked_socks, "socks5", "me:hush@"), Answer("admin")),
        ("socks5 with a wrong password", at(&proxies.locked_socks, "socks5", "me:no@"), Refusal),
        ("a proxy that is not there", "http://127.0.0.1:1".into(), Refusal),
        ("another scheme", at(&proxies.plain, "socks4", ""), Refusal),
        ("no scheme", proxies.plain.address.to_string(), Refusal),
    ];
    for (name, url, wanted) in rows {
        let before = proxies.used();
        let config = config(&with(&cluster, &json!({"proxy-url": url})), &world.admin());
        let path = world.file(&format!("{name}.config"), &config.to_string());
        world.compare(&[Row { name, call: call(path), wanted }]);
        let is_used = matches!(wanted, Answer(_));
        assert_eq!(proxies.used() >= before + 2, is_used, "{name}: the way is by the proxy, for both");
    }
    let server = format!("http://{}", plain.address);
    let (before, config) =
        (proxies.used(), |proxy: String| config(&json!({"server": server, "proxy-url": proxy}), &json!({})));
    for (name, proxy) in [
        ("whole requests", at(&proxies.locked, "http", "me:hush@")),
        ("no TLS by socks5", at(&proxies.socks, "socks5", "")),
    ] {
        let path = world.file(&format!("{name}.config"), &config(proxy).to_string());
        world.compare(&[Row { name, call: call(path), wanted: Answer(" |  |  |  |  /apis/") }]);
    }
    assert!(proxies.used() >= before + 4);
}

#[test]
fn the_environments_proxy_leads_to_the_api_server() {
    let (world, proxies) = (World::start(), Proxies::start());
    let port = world.port();
    let elsewhere = json!({"server": format!("https://api.invalid:{port}"), "tls-server-name": "localhost"});
    let path = world.file("elsewhere", &config(&with(&world.cluster(), &elsewhere), &world.admin()).to_string());
    let here = world.file("here", &config(&world.cluster(), &world.admin()).to_string());
    let at = |proxy: &Proxy, begin: &str| format!("{begin}{}", proxy.address);
    let plain = at(&proxies.plain, "http://");
    let of = |file: &std::path::Path, env: &[(&str, &str)]| {
        let mut call = call(file);
        call.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        call
    };
    let locked = at(&proxies.locked_socks, "socks5h://me:hush@");
    let rows: Vec<(&'static str, Call, Wanted, bool)> = vec![
        ("none", of(&path, &[]), Refusal, false),
        ("HTTPS_PROXY", of(&path, &[("HTTPS_PROXY", &plain)]), Answer("admin"), true),
        ("small letters", of(&path, &[("https_proxy", &plain)]), Answer("admin"), true),
        ("no scheme", of(&path, &[("HTTPS_PROXY", &at(&proxies.plain, ""))]), Answer("admin"), true),
        ("socks5h with a password", of(&path, &[("HTTPS_PROXY", &locked)]), Answer("admin"), true),
        ("HTTP_PROXY", of(&path, &[("HTTP_PROXY", &plain)]), Refusal, false),
        ("ALL_PROXY", of(&path, &[("ALL_PROXY", &plain)]), Refusal, false),
        ("NO_PROXY", of(&path, &[("HTTPS_PROXY", &plain), ("NO_PROXY", ".invalid")]), Refusal, false),
        ("NO_PROXY for another", of(&path, &[("HTTPS_PROXY", &plain), ("NO_PROXY", "x,pi.invalid")]), Answer(""), true),
        ("this machine", of(&here, &[("HTTPS_PROXY", &plain)]), Answer("admin"), false),
        ("this machine by nothing", of(&here, &[("HTTPS_PROXY", "http://127.0.0.1:1")]), Answer("admin"), false),
    ];
    for (name, call, wanted, is_used) in rows {
        let before = proxies.used();
        world.compare(&[Row { name, call, wanted }]);
        assert_eq!(proxies.used() >= before + 2, is_used, "{name}: for both the way is the same");
    }
}
