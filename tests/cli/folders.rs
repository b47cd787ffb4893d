//! Folders that commands write to.

use super::{run, stderr};

#[test]
fn what_an_earlier_run_has_left_in_a_folder_is_told_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("out");
    let folder = folder.to_str().unwrap();
    let generate = |more: &[&str]| run(&[&["manifest", "generate", "-o", folder], more].concat());
    assert_eq!(stderr(&generate(&["--set", "profile=demo"])), "");
    let left = std::path::Path::new(folder).join("Base/Pilot/EgressGateways/EgressGateways.yaml");
    let text = std::fs::read_to_string(&left).unwrap();
    let again = generate(&[]);
    let told = format!("Warning: {} is not of this spec", left.display());
    assert!(again.status.success() && stderr(&again).starts_with(&told), "{}", stderr(&again));
    assert_eq!(std::fs::read_to_string(&left).unwrap(), text, "nobody knows whose it is now");
    assert_eq!(stderr(&generate(&["--component", "Base"])), "", "nothing was asked of the others");
    std::fs::write(dir.path().join("file"), "").unwrap();
    let file = dir.path().join("file");
    let refused = run(&["manifest", "generate", "-o", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains(&format!("create {}", file.display())), "{}", stderr(&refused));
    let translate =
        |profile: &str| run(&["manifest", "translate", "-o", folder, "--set", &format!("profile={profile}")]);
    assert_eq!(stderr(&translate("demo")), "");
    let less = translate("minimal");
    assert!(
        less.status.success() && stderr(&less).contains("egressgateway-values.yaml is not of"),
        "{}",
        stderr(&less)
    );
}
