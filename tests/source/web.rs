//! Web servers: good ones, slow ones, broken ones, and those that send on elsewhere.

use super::home::Home;
use super::library::Library;
use super::package::{hex, plain, release};
use super::server::{Request, Server, head, nobody, reply};
use istio_operator::source::{Origin, Refresh};
use std::io::Write;
use std::time::{Duration, Instant};

const OK: &str = "200 OK";

#[test]
fn a_package_is_fetched_once_and_then_needs_no_network() {
    let (home, server) = (Home::new(), Server::with(release("1.30.3")));
    let location = server.url("/istio-1.30.3-linux-amd64.tar.gz");
    let first = home.run(&["release", "fetch", &location]);
    assert_eq!(first.succeeded().said("version"), "1.30.3");
    assert_eq!((first.said("from"), first.said("files")), ("the location", "3"));
    assert_eq!(first.said("digest"), format!("sha256:{}", hex(&release("1.30.3"))));
    assert!(first.stderr.contains("fetching: 0.0 of 0.0 MB"), "{}", first.stderr);
    assert!(home.packages().contains(&"charts/base/templates/a.yaml".to_owned()), "{:?}", home.packages());
    assert!(std::path::Path::new(first.said("folder")).join("profiles/default.yaml").is_file());
    let second = home.fetch(&location);
    assert_eq!(second.succeeded().said("from"), "the cache");
    assert_eq!(server.requests().len(), 1);
    // A pin is met by what came from somewhere else, too.
    let pinned = format!("http://{}/other.tgz#sha256={}", nobody(), hex(&release("1.30.3")));
    assert_eq!(home.fetch(&pinned).succeeded().said("from"), "the cache");
}

/// Answers as a server does that knows what it had: with the version that a counter says.
fn versioned(request: &Request, version: usize, stream: &mut impl Write) -> std::io::Result<()> {
    let (tag, version) = (format!("\"{version}\""), format!("1.30.{version}"));
    match request.header("if-none-match") {
        Some(known) if known == tag => reply(stream, "304 Not Modified", &[("ETag", &tag)], b""),
        _ => reply(stream, OK, &[("ETag", &tag)], &release(&version)),
    }
}

#[test]
fn a_refresh_asks_whether_there_is_something_newer() {
    let dir = tempfile::tempdir().unwrap();
    // Twice the same, then another, then nothing but errors.
    let server = Server::start(|request, before, stream| match before {
        0 | 1 => versioned(request, 1, stream),
        2 => versioned(request, 2, stream),
        _ => reply(stream, "503 Service Unavailable", &[], b""),
    });
    let (library, location) = (Library::new(dir.path()), server.url("/newest.tgz"));
    let get = |refresh| {
        let fetched = library.get(&location, refresh).unwrap();
        (fetched.version.unwrap(), fetched.origin, fetched.stale.map(|error| error.to_string()))
    };
    assert_eq!(get(Refresh::Always), ("1.30.1".to_owned(), Origin::Fetched, None));
    assert_eq!(get(Refresh::Always), ("1.30.1".to_owned(), Origin::Cache, None));
    assert_eq!(get(Refresh::IfAbsent), ("1.30.1".to_owned(), Origin::Cache, None));
    assert_eq!(get(Refresh::Always), ("1.30.2".to_owned(), Origin::Fetched, None));
    let (version, origin, stale) = get(Refresh::Always);
    assert_eq!((version.as_str(), origin), ("1.30.2", Origin::Cache));
    assert!(stale.unwrap().contains("the server answered 503"));
    assert_eq!(get(Refresh::IfAbsent), ("1.30.2".to_owned(), Origin::Cache, None));
}

#[test]
fn a_connection_that_is_cut_is_tried_again_from_the_beginning() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    let cut = |has_length: bool, good_from: usize| {
        Server::start(move |_, before, stream| {
            let (whole, length) = (release("1.30.3"), release("1.30.3").len().to_string());
            if before >= good_from {
                return reply(stream, OK, &[], &whole);
            }
            let headers = [("Content-Length", length.as_str())];
            head(stream, OK, if has_length { &headers } else { &[] })?;
            stream.write_all(&whole[..whole.len() / 2])
        })
    };
    let server = cut(true, 1);
    let ended = home.run(&["release", "fetch", &server.url("/a.tgz")]);
    ended.succeeded();
    assert!(ended.stderr.contains("trying again in 500ms"), "{}", ended.stderr);
    for has_length in [true, false] {
        let (server, library) = (cut(has_length, 3), Library::new(dir.path()));
        let failed = library.fails(&server.url("/a.tgz"), "a.tgz: the connection was lost after ");
        assert_eq!((failed, server.requests().len()), (("ReleaseUnreachable", true), 3));
    }
    assert!(Library::new(dir.path()).source().cache().list().unwrap().packages.is_empty());
}

#[test]
fn a_wrong_digest_is_an_error_with_both_digests() {
    let (home, server) = (Home::new(), Server::with(release("1.30.3")));
    let (expected, found) = ("0".repeat(64), hex(&release("1.30.3")));
    let location = format!("{}#sha256={expected}", server.url("/a.tgz"));
    home.fetch(&location).failed_with(&format!(
        "release package {location}: its digest is sha256:{found}, not sha256:{expected}; check who changed it, then change the pin"
    ));
    assert_eq!((server.requests().len(), home.packages().len()), (1, 0));
    let library = Library::new(home.path());
    assert_eq!(library.fails(&location, "its digest is"), ("ReleaseDigestMismatch", true));
    home.fetch(&format!("{}#sha256={found}", server.url("/a.tgz"))).succeeded();
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_, before, stream| match before {
        0 => reply(stream, "503 Service Unavailable", &[("Retry-After", "0")], b""),
        1 => reply(stream, "429 Too Many Requests", &[], b""),
        _ => reply(stream, OK, &[], &release("1.30.3")),
    });
    let library = Library::new(dir.path());
    library.fetch(&server.url("/a.tgz")).unwrap();
    assert_eq!(library.retries().len(), 2);
    assert!(library.retries()[0].ends_with("/a.tgz: the server answered 503"), "{:?}", library.retries());
}

#[test]
fn a_server_that_does_not_want_to_is_asked_once() {
    let dir = tempfile::tempdir().unwrap();
    for (status, headers, words, word, is_retryable) in [
        ("503 Busy", &[("Retry-After", "3600")][..], "the server answered 503", "ReleaseUnreachable", true),
        ("404 Not Found", &[], "there is none (the server answered 404); check the address", "ReleaseNotFound", true),
        ("401 Unauthorized", &[], "access denied: the server answered 401", "ReleaseAccessDenied", true),
        ("304 Not Modified", &[], "nothing has changed, without having been asked", "ReleaseBroken", true),
        ("501 No", &[], "the server answered 501", "ReleaseUnreachable", true),
    ] {
        let server = Server::start(move |_, _, stream| reply(stream, status, headers, b"<html>"));
        let failed = Library::new(dir.path()).fails(&server.url("/a.tgz"), words);
        assert_eq!((failed, server.requests().len()), ((word, is_retryable), 1), "{status}");
    }
}

#[test]
fn a_server_that_is_away_is_named() {
    let (home, address) = (Home::new(), nobody());
    let ended = home.run(&["release", "fetch", "--fetch-timeout", "2s", &format!("http://{address}/a.tgz?key=secret")]);
    ended.failed_with(&format!("Error: release package http://{address}/a.tgz?<redacted>: cannot be reached"));
    assert!(!ended.stderr.contains("secret") && ended.stderr.contains("Connection refused"), "{}", ended.stderr);
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let stalling = |sends_head: bool| {
        Server::start(move |_, _, stream| {
            if sends_head {
                head(stream, OK, &[("Content-Length", "1000000")])?;
                stream.write_all(&plain("1.30.3")[..700])?;
            }
            // Until the other side has enough.
            std::io::copy(stream, &mut std::io::sink()).map(drop)
        })
    };
    for (sends_head, words) in
        [(false, "the answer took longer than 400ms"), (true, "the next piece of the answer took longer than 400ms")]
    {
        let (server, mut library) = (stalling(sends_head), Library::new(dir.path()));
        library.settings.timeouts.read = Duration::from_millis(400);
        assert_eq!(library.fails(&server.url("/a.tgz"), words), ("ReleaseUnreachable", true));
        assert_eq!(server.requests().len(), 3);
    }
    let (home, server, begun) = (Home::new(), stalling(true), Instant::now());
    let ended = home.run(&["release", "fetch", "--fetch-timeout", "500ms", &server.url("/a.tgz")]);
    ended.failed_with("all of it took longer than 500ms");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_server_that_sends_a_little_now_and_then_is_given_up_too() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _, stream| {
        head(stream, OK, &[])?;
        loop {
            stream.write_all(&[0x1f])?;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut library = Library::new(dir.path());
    library.settings.timeouts.total = Duration::from_millis(300);
    library.fails(&server.url("/a.tgz"), "all of it took longer than 300ms");
}

/// A server that sends everybody on.
fn redirecting(target: &str) -> Server {
    let target = target.to_owned();
    Server::start(move |_, _, stream| reply(stream, "302 Found", &[("Location", &target)], b""))
}

#[test]
fn a_redirect_to_elsewhere_is_not_followed_where_nobody_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = Server::with(release("1.30.3"));
    let server = redirecting(&elsewhere.url("/istio/a.tgz?key=secret"));
    let location = server.url("/istio/a.tgz");
    let library = Library::new(dir.path()).allowed(&[&server.url("/istio")]);
    let hint = format!("to allow it, start the operator with --allow-package http://{}/", elsewhere.address);
    let refusal = format!("{}?<redacted> is not allowed; {hint}", elsewhere.url("/istio/a.tgz"));
    assert_eq!(library.fails(&location, &refusal), ("ReleaseRefused", false));
    assert!(elsewhere.requests().is_empty(), "it was not even asked");
    let library = Library::new(dir.path()).allowed(&[&server.url("/istio"), &elsewhere.url("/istio")]);
    library.fetch(&location).unwrap();
    assert_eq!(elsewhere.paths(), ["/istio/a.tgz?key=secret"]);
    // The command line is free.
    let home = Home::new();
    home.fetch(&location).succeeded();
}

#[test]
fn a_redirect_on_the_same_server_stays_below_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    for target in ["/secret/a.tgz", "/istio/../secret/a.tgz", "/istio-other/a.tgz", "//127.0.0.1:1/istio/a.tgz"] {
        let server = redirecting(target);
        let library = Library::new(dir.path()).allowed(&[&server.url("/istio")]);
        library.fails(&server.url("/istio/a.tgz"), "is not allowed");
        assert_eq!(server.paths(), ["/istio/a.tgz"], "{target}");
    }
}

#[test]
fn redirects_that_nobody_should_follow_are_refused_to_everybody() {
    let home = Home::new();
    for (target, words) in [
        ("http://packages.example/a.tgz", "a redirect to http://, which is not followed"),
        ("ftp://packages.example/a.tgz", "a redirect to ftp://, which is not followed"),
        ("file:///etc/passwd", "a redirect to file://, which is not followed"),
        ("/a/..%2f..%2fb", "a redirect to a path with an encoded .."),
        ("http://[", "a redirect to an invalid address"),
        ("/again", "more than 10 redirects"),
    ] {
        home.fetch(&redirecting(target).url("/a.tgz")).failed_with(words);
    }
    let server = Server::start(|_, _, stream| reply(stream, "302 Found", &[], b""));
    home.fetch(&server.url("/a.tgz")).failed_with("a redirect to nowhere");
}

#[test]
fn a_password_is_sent_to_the_server_it_is_for_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = Server::with(release("1.30.3"));
    let server = redirecting(&elsewhere.url("/a.tgz"));
    let location = server.url("/a.tgz").replace("http://", "http://user:word@");
    Library::new(dir.path()).fetch(&location).unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic dXNlcjp3b3Jk"));
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);
}
