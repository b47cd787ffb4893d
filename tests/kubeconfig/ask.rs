//! Asking who one is: with the operator's client, in a process of its own since the environment counts; and with kubectl.

use istio_operator::cluster::connect::{self, Choice, Way};
use istio_operator::cluster::fence::Fence;
use istio_operator::cluster::outage::Outage;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What a client did.
#[derive(Debug, Clone)]
pub struct Told {
    /// The name the server knows it by, where it does.
    pub name: Option<String>,
    /// Everything it said.
    pub text: String,
}

/// How both are asked.
#[derive(Default, Clone)]
pub struct Call {
    /// Variables, of which `KUBECONFIG` is one.
    pub env: Vec<(String, String)>,
    /// `--kubeconfig`.
    pub kubeconfig: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// Where relative paths begin.
    pub folder: Option<std::path::PathBuf>,
}

const CHOICE: &str = "KUBECONFIG_TEST_CHOICE";
const NAME: &str = "we are: ";

/// Runs the test below as a program of its own.
pub fn ours(call: &Call) -> Told {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["ask::this_is_no_test_but_a_client", "--exact", "--ignored", "--nocapture"]);
    command.env(CHOICE, json!([call.kubeconfig, call.context]).to_string());
    let (_, text) = run(&mut command, call);
    let name = text.lines().find_map(|line| line.split_once(NAME)).map(|(_, name)| name.to_owned());
    Told { name, text }
}

/// Asks kubectl.
pub fn kubectl(path: &Path, call: &Call) -> Told {
    let mut command = Command::new(path);
    command.args(["auth", "whoami", "-o", "json", "--request-timeout=20s"]);
    command.args(call.kubeconfig.iter().map(|path| format!("--kubeconfig={path}")));
    command.args(call.context.iter().map(|name| format!("--context={name}")));
    let (stdout, text) = run(&mut command, call);
    let review: Value = serde_json::from_str(&stdout).unwrap_or_default();
    Told { name: review["status"]["userInfo"].is_object().then(|| name_of(&review)), text }
}

fn run(command: &mut Command, call: &Call) -> (String, String) {
    for name in ["KUBECONFIG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").env_remove("KUBERNETES_SERVICE_HOST");
    command.envs(call.env.iter().cloned()).stdin(Stdio::null());
    if let Some(folder) = &call.folder {
        command.current_dir(folder);
    }
    let out = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    (stdout.clone(), stdout + &String::from_utf8_lossy(&out.stderr))
}

/// The user and, since impersonation may add some, the groups.
fn name_of(review: &Value) -> String {
    let info = &review["status"]["userInfo"];
    let text = |field: &str| info[field].as_str().unwrap_or_default();
    format!("{} {} {:?} {}", text("username"), info["groups"], text("uid"), info["extra"]["reason"])
}

/// A client as commands and the controller have it.
pub async fn client(choice: &Choice) -> anyhow::Result<kube::Client> {
    let mut access = connect::find_as(choice).await?;
    access.connect_timeout = Some(Duration::from_secs(20));
    let way = Way {
        count: Arc::new(|_| {}),
        in_flight: 4,
        per_second: 100,
        silence: Duration::from_secs(20),
        fence: Fence::default(),
        outage: Outage::default(),
    };
    Ok(connect::for_work(access, &way)?)
}

/// Asks the API server who we are.
pub async fn review(client: &kube::Client) -> Result<String, kube::Error> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .unwrap();
    Ok(name_of(&client.request::<Value>(request).await?))
}

#[tokio::test]
#[ignore = "a client that the tests start"]
async fn this_is_no_test_but_a_client() {
    let Ok(choice) = std::env::var(CHOICE) else { return };
    let (kubeconfig, context): (Option<std::path::PathBuf>, Option<String>) = serde_json::from_str(&choice).unwrap();
    let asked = match client(&Choice { kubeconfig, context, ..Choice::default() }).await {
        Ok(client) => review(&client).await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match asked {
        Ok(name) => println!("{NAME}{name}"),
        Err(error) => println!("refused: {error:#}"),
    }
}
