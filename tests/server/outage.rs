//! What is said of an API server that is away.

use crate::lab::Lab;
use std::time::Duration;

/// Issue: two lines a second for each kind that is watched.
#[test]
#[ignore = "long: `make test-all`"]
fn an_outage_is_said_once_and_so_is_its_end() {
    let lab = Lab::without_operator();
    let mut operator = lab.begin_operator();
    operator.wait_until_ready().unwrap();
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    let before = operator.log().len();
    lab.plane().kill("kube-apiserver").unwrap();
    // The passing of time is the fault.
    std::thread::sleep(Duration::from_secs(20));
    let during = operator.log()[before..].to_owned();
    lab.expect_forbidden();
    lab.plane().start_again("kube-apiserver").unwrap();
    let after = lab.wait("the end of the outage", || {
        let log = operator.log()[before..].to_owned();
        if log.contains("the API server is back, after ") { Ok(log) } else { Err(log) }
    });
    assert_eq!(after.matches("the API server cannot be reached").count(), 1, "{after}");
    assert!(during.lines().count() <= 3, "{during}");
    assert_eq!(operator.get("/healthz").unwrap(), Ok("ok\n".into()));
    lab.watch_over(operator);
    lab.apply_spec("{profile: minimal, meshConfig: {enableTracing: false}}");
    lab.wait_for_status("HEALTHY", &[]);
    let info = "istio_install_operator_resource_info{namespace=\"istio-system\",name=\"main\",status=\"HEALTHY\"";
    assert_eq!(lab.metric(info), 1);
}
