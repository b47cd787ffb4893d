//! Renders the templates of a chart: parsing in Helm's order, rendering in the same order, Helm's error texts.
//!
//! All of it is counted in one [`Usage`](crate::gotmpl::Usage): putting the values together, and executing the templates
//! of all subcharts.
//!
//! Parsed templates are kept in a [`ParsedChart`], which many threads may share. One render runs on one thread, which has
//! the stack that deep templates need; what leaves it is plain data.

use super::capabilities::Capabilities;
use super::chart::Chart;
use super::dependencies::{Tree, compatible};
use super::error::{MAX_DOCUMENTS, RenderError, RenderFailed};
use super::functions::{self, Lookup, Offline, State};
use super::manifest::{self, ManifestError, Manifests};
use super::node::Node;
use super::preparation::Preparation;
use super::release::{Job, ReleaseOptions, scope};
use super::{schema, tables, values};
use crate::gotmpl::{self, Budgets, ExecContext, ExecError, Host, Map, MapKind, ParseError, TemplateSet, Value, price};
use crate::threads;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes the host of a render, on the thread that renders.
pub type MakeHost = Arc<dyn Fn() -> Host + Send + Sync>;

/// How a chart is rendered: limits, and what its templates may ask of the world outside.
#[derive(Clone)]
pub struct RenderOptions {
    /// Limits of the whole render.
    pub budgets: Budgets,
    /// Time, time zone and randomness. Made anew for each render.
    pub host: MakeHost,
    /// Answers `lookup`.
    pub lookup: Arc<dyn Lookup>,
    /// Leaves `values.schema.json` alone.
    pub skip_schema: bool,
}

impl Default for RenderOptions {
    /// As `helm template`: the clock and randomness of the system, no cluster, the default limits with one for time.
    fn default() -> Self {
        Self { budgets: Budgets::timed(), host: Arc::new(Host::system), lookup: Arc::new(Offline), skip_schema: false }
    }
}

impl RenderOptions {
    /// No cluster, the default limits without one for time, and [`Host::fixed`]: no clock is read, and the same chart and
    /// values always give the same bytes, or the same error.
    #[must_use]
    pub fn fixed() -> Self {
        Self { budgets: Budgets::default(), host: Arc::new(Host::fixed), ..Self::default() }
    }
}

/// What a chart renders to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Rendered files by path from the root chart on (`web/templates/service.yaml`), notes included.
    pub files: BTreeMap<String, String>,
    /// The CRD files of the charts that take part, by full path; the parent's first.
    pub crds: Vec<(String, Bytes)>,
    /// What Helm logs.
    pub warnings: Vec<String>,
}

impl Rendered {
    /// The documents of all files but the notes, in the order in which Helm installs them, hooks apart.
    ///
    /// # Errors
    /// A document of which Helm cannot read kind and annotations.
    pub fn manifests(&self) -> Result<Manifests, ManifestError> {
        manifest::sort(self.files.iter().filter(|(path, _)| !is_notes(path)))
    }

    /// The notes of the chart itself, those of subcharts left out: what `helm install` prints in the end.
    #[must_use]
    pub fn notes(&self) -> Option<&str> {
        let own = |path: &str| is_notes(path) && path.matches('/').count() == 2;
        self.files.iter().find(|(path, _)| own(path)).map(|(_, text)| text.as_str())
    }
}

fn is_notes(path: &str) -> bool {
    path.ends_with("NOTES.txt")
}

/// How many sets of templates are kept per chart: one for each choice of enabled subcharts.
const MAX_SETS: usize = 8;

type SetKey = Vec<(String, usize)>;

/// A chart, and its templates once they are parsed.
pub struct ParsedChart {
    chart: Chart,
    sets: Mutex<Vec<(SetKey, TemplateSet)>>,
}

impl ParsedChart {
    /// A chart whose templates will be parsed when they are first rendered.
    #[must_use]
    pub fn new(chart: Chart) -> Self {
        Self { chart, sets: Mutex::default() }
    }

    /// The chart.
    #[must_use]
    pub fn chart(&self) -> &Chart {
        &self.chart
    }

    /// Renders the chart with the values given by the user.
    ///
    /// # Errors
    /// The first problem, in Helm's order and words.
    pub fn render(
        &self,
        values: &serde_json::Map<String, serde_json::Value>,
        release: &ReleaseOptions,
        capabilities: &Capabilities,
        options: &RenderOptions,
    ) -> Result<Rendered, RenderFailed> {
        let work = || {
            let host = (options.host)().with_budgets(options.budgets);
            let preparation = Preparation::new(&host.usage);
            let render = Render { parsed: self, release, capabilities, options, host: &host };
            let result = render.run(values, &preparation);
            let warnings = preparation.take_warnings();
            match result {
                Ok(rendered) => Ok(Rendered { warnings, ..rendered }),
                Err(problem) => Err(RenderFailed { problem, warnings }),
            }
        };
        let broken = |problem| RenderFailed { problem, warnings: Vec::new() };
        threads::with_stack(options.budgets.stack(), work)
            .map_err(|e| broken(RenderError::Thread(e)))?
            .unwrap_or_else(|_| Err(broken(RenderError::Panicked)))
    }

    /// The parsed templates of these files, which are in parsing order.
    fn set(&self, jobs: &[Job<'_>]) -> Result<TemplateSet, RenderError> {
        let key: SetKey = jobs.iter().map(|job| (job.name.clone(), job.text.as_ptr().addr())).collect();
        // Locked while parsing: other threads that render the same chart need the same set.
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, set)) = sets.iter().find(|(k, _)| *k == key) {
            return Ok(set.clone());
        }
        let mut set = TemplateSet::new("gotpl", functions::functions());
        for job in jobs {
            set.parse(&job.name, job.text).map_err(|e| parse_error(&e))?;
        }
        // All sets together are no larger than one may be.
        let kept = |sets: &[(SetKey, TemplateSet)]| sets.iter().map(|(_, s)| s.size()).sum::<usize>() + set.size();
        while !sets.is_empty() && (sets.len() >= MAX_SETS || kept(&sets) > gotmpl::MAX_NODES) {
            sets.remove(0);
        }
        sets.push((key, set.clone()));
        Ok(set)
    }
}

/// One render.
struct Render<'r> {
    parsed: &'r ParsedChart,
    release: &'r ReleaseOptions,
    capabilities: &'r Capabilities,
    options: &'r RenderOptions,
    host: &'r Host,
}

impl Render<'_> {
    fn run(
        &self,
        given: &serde_json::Map<String, serde_json::Value>,
        preparation: &Preparation,
    ) -> Result<Rendered, RenderError> {
        let of_values = |message| self.unprepared(message, RenderError::Values);
        let size = price::weight_of_json(given);
        preparation.pay(size * 2, size).map_err(of_values)?;
        let given = tables::from_json(given);
        let tree = Tree::new(&self.parsed.chart, &given, preparation).map_err(of_values)?;
        let values = values::coalesce(&tree.root, &given, preparation).map_err(of_values)?;
        if !self.options.skip_schema {
            schema::validate(&tree.root, &values, preparation)
                .map_err(|message| self.unprepared(message, RenderError::Schema))?;
        }
        self.check_kube_version()?;
        let root = Map::new(MapKind::Any);
        root.set("Release", self.release.value());
        root.set("Capabilities", self.capabilities.value());
        let mut jobs = Vec::new();
        scope(&tree.root, &root, Value::Map(values.retyped(MapKind::Values)), &mut jobs, preparation)
            .map_err(of_values)?;
        let files = self.files(in_parsing_order(jobs))?;
        let mut crds = Vec::new();
        collect_crds(&tree.root, &mut crds);
        Ok(Rendered { files, crds, warnings: Vec::new() })
    }

    /// What went wrong before the templates, unless a budget ran out.
    fn unprepared(&self, message: String, otherwise: fn(String) -> RenderError) -> RenderError {
        match self.host.usage.ran_out() {
            Some(exhausted) => RenderError::Preparation { message, exhausted },
            None => otherwise(message),
        }
    }

    fn check_kube_version(&self) -> Result<(), RenderError> {
        let required = &self.parsed.chart.metadata.kube_version;
        let actual = &self.capabilities.kube_version.version;
        if required.is_empty() || compatible(required, actual) {
            return Ok(());
        }
        Err(RenderError::KubeVersion { required: required.clone(), actual: actual.clone() })
    }

    fn files(&self, jobs: Vec<Job<'_>>) -> Result<BTreeMap<String, String>, RenderError> {
        let set = self.parsed.set(&jobs)?;
        let state = State::new(Arc::clone(&self.options.lookup));
        let context = ExecContext { host: self.host, state: &state };
        let (mut rendered, mut documents) = (BTreeMap::new(), 0);
        for job in jobs {
            if job.name.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
                continue;
            }
            let template = Map::new(MapKind::Values);
            template.set("Name", Value::string(job.name.as_str()));
            template.set("BasePath", Value::string(job.base_path.as_str()));
            job.data.set("Template", Value::Map(template));
            let written = gotmpl::execute(&set, &job.name, Value::Map(job.data), &context);
            let written = functions::without_no_value(written.map_err(exec_error)?);
            let text = String::from_utf8(written).map_err(|_| RenderError::NotText(job.name.clone()))?;
            documents += memchr::memmem::find_iter(text.as_bytes(), "\n---").count();
            if documents > MAX_DOCUMENTS {
                return Err(RenderError::TooMany(job.name));
            }
            rendered.insert(job.name, text);
        }
        Ok(rendered)
    }
}

/// Most `/` first, and among equals the last name first; of two files with one name the later one counts.
fn in_parsing_order(jobs: Vec<Job<'_>>) -> Vec<Job<'_>> {
    let by_name: BTreeMap<String, Job<'_>> = jobs.into_iter().map(|job| (job.name.clone(), job)).collect();
    let mut jobs: Vec<_> = by_name.into_values().collect();
    let rank = |job: &Job<'_>| job.name.matches('/').count();
    jobs.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| b.name.cmp(&a.name)));
    jobs
}

fn collect_crds(node: &Rc<Node<'_>>, crds: &mut Vec<(String, Bytes)>) {
    let path = node.full_path();
    crds.extend(node.chart.own_crds().map(|f| (format!("{path}/{}", f.name), f.data.clone())));
    for child in node.children() {
        collect_crds(&child, crds);
    }
}

/// Helm keeps of Go's text the place and what follows the last colon.
fn parse_error(error: &ParseError) -> RenderError {
    let text = gotmpl::bounded(error);
    let location = text.split(": ").nth(1).unwrap_or_default().to_owned();
    let message = text.rsplit(": ").next().unwrap_or_default().to_owned();
    RenderError::Parse { location, message }
}

fn exec_error(error: ExecError) -> RenderError {
    match (error.abort_message(), error.location()) {
        (Some(message), Some(location)) => {
            RenderError::Aborted { location: location.to_string(), message: gotmpl::bounded(&message) }
        }
        _ => RenderError::Template(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chart(files: &[(&str, &str)]) -> ParsedChart {
        let metadata = ("Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}");
        let files = files.iter().chain([&metadata]).map(|(name, text)| (*name, (*text).to_owned()));
        ParsedChart::new(Chart::from_memory(files).unwrap())
    }

    fn render(chart: &ParsedChart, values: &serde_json::Value) -> Result<Rendered, RenderFailed> {
        let release = ReleaseOptions::install("r", "ns");
        let values = values.as_object().unwrap();
        chart.render(values, &release, &Capabilities::default(), &RenderOptions::fixed())
    }

    #[test]
    fn one_chart_renders_many_times_on_many_threads_and_is_parsed_once() {
        let chart = chart(&[("templates/a", "{{ set .Values \"n\" (add .Values.n 1) | len }} {{ .Values.n }}")]);
        std::thread::scope(|threads| {
            for n in 0..8 {
                let chart = &chart;
                threads.spawn(move || {
                    let rendered = render(chart, &json!({ "n": n })).unwrap();
                    assert_eq!(rendered.files["c/templates/a"], format!("1 {}", n + 1));
                });
            }
        });
        assert_eq!(chart.sets.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_thousand_and_one_nested_includes_pass_and_no_more() {
        let chart = chart(&[(
            "templates/a",
            "{{ define \"r\" }}{{ if gt . 1 }}{{ include \"r\" (sub . 1 | int) }}{{ else }}end{{ end }}{{ end }}\
             {{ include \"r\" (int .Values.n) }}",
        )]);
        assert_eq!(render(&chart, &json!({ "n": 1001 })).unwrap().files["c/templates/a"], "end");
        let failed = render(&chart, &json!({ "n": 1002 })).unwrap_err().to_string();
        let want =
            "error calling include: rendering template has a nested reference name: r: unable to execute template";
        assert!(failed.ends_with(want), "{}", &failed[failed.len() - 200..]);
    }

    #[test]
    fn a_chart_without_end_is_stopped() {
        let chart = chart(&[("templates/a", "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" }}")]);
        assert!(render(&chart, &json!({})).unwrap_err().to_string().contains("deep"));
    }

    #[test]
    fn files_render_from_the_deepest_up() {
        let chart = chart(&[
            ("templates/a", "{{ .Values.seen }}{{ $_ := set .Values \"seen\" (print .Values.seen \"a\") }}"),
            ("templates/b", "{{ .Values.seen }}{{ $_ := set .Values \"seen\" (print .Values.seen \"b\") }}"),
            ("templates/d/c", "{{ $_ := set .Values \"seen\" \"c\" }}"),
        ]);
        let files = render(&chart, &json!({})).unwrap().files;
        assert_eq!((files["c/templates/b"].as_str(), files["c/templates/a"].as_str()), ("c", "cb"));
    }

    #[test]
    fn another_choice_of_subcharts_has_its_own_templates() {
        let parent = "{apiVersion: v2, name: c, version: 1, dependencies: [{name: s, version: 1, condition: s.on}]}";
        let files = [
            ("Chart.yaml", parent),
            ("templates/a", "{{ include \"x\" . }}{{ define \"x\" }}{{ end }}"),
            ("charts/s/Chart.yaml", "{name: s, version: 1}"),
            ("charts/s/templates/_x", "{{ define \"x\" }}sub{{ end }}"),
        ];
        let chart = Chart::from_memory(files.iter().map(|(name, text)| (*name, (*text).to_owned()))).unwrap();
        let chart = ParsedChart::new(chart);
        for (on, want) in [(true, "sub"), (false, ""), (true, "sub")] {
            assert_eq!(render(&chart, &json!({"s": {"on": on}})).unwrap().files["c/templates/a"], want);
        }
        assert_eq!(chart.sets.lock().unwrap().len(), 2);
    }

    #[test]
    fn errors_keep_their_stage() {
        for (text, want, in_templates) in [
            ("{{ fail \"a: b\" }}", "execution error at (c/templates/a:1:3): a: b", true),
            ("{{ foo }}", "parse error at (c/templates/a:1): function \"foo\" not defined", true),
        ] {
            let failed = render(&chart(&[("templates/a", text)]), &json!({})).unwrap_err();
            assert_eq!((failed.to_string().as_str(), failed.problem.in_templates()), (want, in_templates));
        }
        let failed = render(&chart(&[("values.schema.json", "{\"required\":[\"q\"]}")]), &json!({})).unwrap_err();
        assert!(!failed.problem.in_templates());
    }
}
