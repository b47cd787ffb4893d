//! Answers of our engine.

use super::cases::{Answer, Case, chart_files, unwrap};
use clap::Parser as _;
use helm_template::cli::{TemplateArgs, run};
use helm_template::{Budgets, Capabilities, Chart, KubeVersion, ParsedChart, ReleaseOptions, RenderOptions};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    template: TemplateArgs,
}

/// What our engine makes of a case.
pub fn answer(case: &Case) -> Answer {
    match &case.args {
        None => template(case),
        Some(args) => command(case, args),
    }
}

fn template(case: &Case) -> Answer {
    let files = chart_files(case);
    let chart = Chart::from_memory(files);
    let chart = match chart {
        Ok(chart) => ParsedChart::new(chart),
        Err(error) => return Answer::Error(error.to_string()),
    };
    let kube_version = KubeVersion::parse(super::real::KUBE_VERSION).expect("a version");
    let capabilities = Capabilities { kube_version, ..Capabilities::default() };
    let release = ReleaseOptions::install("rel", "default");
    // A slow machine must not decide what a template prints.
    let options = RenderOptions { budgets: Budgets::default(), ..RenderOptions::default() };
    match chart.render(&serde_json::Map::new(), &release, &capabilities, &options) {
        Ok(rendered) => unwrap(Ok(&rendered.files["t/templates/wrapper.yaml"])),
        Err(error) => unwrap(Err(&error.to_string())),
    }
}

fn command(case: &Case, args: &[String]) -> Answer {
    super::real::in_directory(case, |dir| {
        let mut line = vec!["helm-template".to_owned(), "rel".to_owned(), dir.display().to_string()];
        line.extend(["--kube-version".to_owned(), super::real::KUBE_VERSION.to_owned()]);
        line.extend(super::real::expand(args, dir));
        let cli = Cli::try_parse_from(line).expect("the arguments are ours too");
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        run(&cli.template, &mut stdout, &mut stderr);
        super::real::command_answer(dir, &stdout, &stderr)
    })
}
