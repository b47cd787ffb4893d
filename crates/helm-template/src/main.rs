//! `helm-template`: what `helm template` prints, without Helm.

use clap::Parser as _;
use helm_template::cli::{TemplateArgs, run};
use std::io::Write as _;
use std::process::ExitCode;

/// Render a chart and print its manifests, exactly as `helm template` does.
#[derive(clap::Parser)]
#[command(name = "helm-template", version)]
struct Args {
    #[command(flatten)]
    template: TemplateArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let code = run(&args.template, &mut out, &mut std::io::stderr());
    if out.flush().is_err() { ExitCode::FAILURE } else { ExitCode::from(code) }
}
