//! Several processes with one cache, and those that are killed.

use super::home::{Home, files};
use super::package::release;
use super::server::{Server, head, reply};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn processes_that_fetch_the_same_at_once_all_get_it() {
    let (home, server) = (Home::new(), Server::with(release("1.30.3")));
    let location = server.url("/a.tgz");
    let all: Vec<_> = (0..4).map(|_| home.start(&["release", "fetch", "-q", &location])).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(home.fetch(&location).said("from"), "the cache");
    assert_eq!(home.packages().len(), 4, "one package: {:?}", home.packages());
}

#[test]
fn a_process_that_is_killed_while_it_unpacks_leaves_nothing_for_long() {
    let (home, whole) = (Home::new(), release("1.30.3"));
    let server = Server::start(move |_, before, stream| {
        if before > 0 {
            return reply(stream, "200 OK", &[], &whole);
        }
        head(stream, "200 OK", &[("Content-Length", &whole.len().to_string())])?;
        stream.write_all(&whole[..whole.len() / 2])?;
        std::io::copy(stream, &mut std::io::sink()).map(drop)
    });
    let location = server.url("/a.tgz");
    let mut child = home.start(&["release", "fetch", "-q", &location]);
    let is_unpacking = || files(&home.cache()).iter().any(|path| path.starts_with("packages/new-"));
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_unpacking() {
        assert!(Instant::now() < deadline, "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_unpacking(), "it had no time to tidy up");
    let list = home.start(&["release", "list"]).wait_with_output().unwrap();
    assert!(list.status.success() && !String::from_utf8_lossy(&list.stdout).contains("a.tgz"), "it is not a package");
    home.fetch(&location).succeeded();
}
