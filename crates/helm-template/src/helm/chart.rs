//! A chart: its description, default values, templates, other files and subcharts.
//!
//! In: files by name. Out: a [`Chart`] that is validated and never changes, so that one chart serves many renders on
//! many threads. Subcharts stand in the order of their directory names (Helm's own order is random).

use super::decode;
use super::metadata::Metadata;
use super::source::{self, ChartFile, Room, SourceError};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Why a chart cannot be loaded; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The files cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file with a fixed meaning cannot be parsed.
    #[error("cannot load {file}: {problem}")]
    File {
        /// `Chart.yaml`, `values.yaml`, …
        file: &'static str,
        /// The parser's words.
        problem: String,
    },
    /// No `Chart.yaml`.
    #[error("Chart.yaml file is missing")]
    NoMetadata,
    /// `Chart.yaml` breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// An archive in `charts/` that is not a plain file.
    #[error("error unpacking subchart tar in {chart}: expected {expected}, got {got}")]
    SubchartArchive {
        /// The chart's name.
        chart: String,
        /// The name of the entry in `charts/`.
        expected: String,
        /// The file found.
        got: String,
    },
    /// A subchart cannot be loaded.
    #[error("error unpacking subchart {name} in {chart}: {problem}")]
    Subchart {
        /// The entry in `charts/`.
        name: String,
        /// The parent's name.
        chart: String,
        /// What is wrong with it.
        problem: Box<ChartError>,
    },
}

impl ChartError {
    /// Whether loading the same chart again may succeed though nobody changes it: as [`SourceError::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Source(error) => error.is_retryable(),
            Self::Subchart { problem, .. } => problem.is_retryable(),
            Self::File { .. } | Self::NoMetadata | Self::Invalid(_) | Self::SubchartArchive { .. } => false,
        }
    }
}

/// How deep subcharts may be nested.
const DEEPEST: usize = 50;

/// A loaded chart.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`
    pub metadata: Metadata,
    /// `templates/…`
    pub templates: Vec<ChartFile>,
    /// Everything without a fixed meaning, `crds/` included.
    pub files: Vec<ChartFile>,
    /// `values.yaml`
    pub values: Map<String, Value>,
    /// `values.schema.json`
    pub schema: Option<Bytes>,
    /// `charts/…`
    pub dependencies: Vec<Chart>,
    /// What Helm logs while loading.
    pub warnings: Vec<String>,
}

impl Chart {
    /// Loads a directory or a `.tgz` archive.
    ///
    /// # Errors
    /// What cannot be read or breaks a rule.
    pub fn load(path: &Path) -> Result<Self, ChartError> {
        let mut room = Room::default();
        let loaded = source::read_path(path, &mut room)?;
        let mut chart = Self::build(loaded.files, &mut room, 0)?;
        chart.warnings.splice(0..0, loaded.warnings);
        Ok(chart)
    }

    /// Loads the bytes of a `.tgz` archive.
    ///
    /// # Errors
    /// What cannot be read or breaks a rule.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, ChartError> {
        let mut room = Room::default();
        let files = source::read_archive(bytes, &mut room)?;
        Self::build(files, &mut room, 0)
    }

    /// Builds a chart from files in memory, such as those embedded in the program.
    ///
    /// # Errors
    /// What breaks a rule.
    pub fn from_memory<P: Into<String>, D: Into<Bytes>>(
        files: impl IntoIterator<Item = (P, D)>,
    ) -> Result<Self, ChartError> {
        Self::from_files(files.into_iter().map(|(name, data)| ChartFile::new(name, data)).collect())
    }

    /// Builds a chart from its files.
    ///
    /// # Errors
    /// What breaks a rule.
    pub fn from_files(files: Vec<ChartFile>) -> Result<Self, ChartError> {
        Self::build(files, &mut Room::default(), 0)
    }

    /// Builds a chart at this depth of subcharts; `room` is what archives in it may still unpack to.
    fn build(files: Vec<ChartFile>, room: &mut Room, depth: usize) -> Result<Self, ChartError> {
        if depth > DEEPEST {
            return Err(ChartError::Invalid(format!("charts stand more than {DEEPEST} deep in each other")));
        }
        let mut chart = Self::default();
        let mut described = false;
        for file in files.iter().filter(|f| f.name == "Chart.yaml") {
            described = true;
            let read = chart.metadata.read(&file.data);
            read.map_err(|problem| ChartError::File { file: "Chart.yaml", problem })?;
            if chart.metadata.api_version.is_empty() {
                "v1".clone_into(&mut chart.metadata.api_version);
            }
        }
        let mut subcharts = BTreeMap::<String, Vec<ChartFile>>::new();
        for file in files {
            described |= matches!(file.name.as_str(), "requirements.yaml" | "requirements.lock");
            chart.take(file, &mut subcharts)?;
        }
        if !described {
            return Err(ChartError::NoMetadata);
        }
        chart.metadata.validate().map_err(ChartError::Invalid)?;
        for (name, files) in subcharts {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let child = chart.subchart(&name, files, room, depth + 1)?;
            chart.warnings.extend(child.warnings.iter().cloned());
            chart.dependencies.push(child);
        }
        Ok(chart)
    }

    /// Puts a file where it belongs.
    fn take(&mut self, file: ChartFile, subcharts: &mut BTreeMap<String, Vec<ChartFile>>) -> Result<(), ChartError> {
        let failed = |file| move |problem| ChartError::File { file, problem };
        let is_v1 = self.metadata.api_version == "v1";
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => decode::yaml(&file.data).map(drop).map_err(failed("Chart.lock"))?,
            "values.yaml" => self.values = decode::yaml_map(&file.data).map_err(failed("values.yaml"))?,
            "values.schema.json" => self.schema = Some(file.data),
            "requirements.yaml" => {
                if !is_v1 {
                    self.warnings.push("load.go:120: Warning: Dependencies are handled in Chart.yaml since apiVersion \"v2\". We recommend migrating dependencies to Chart.yaml.".to_owned());
                }
                self.metadata.read(&file.data).map_err(failed("requirements.yaml"))?;
                if self.metadata.api_version == "v1" {
                    self.files.push(file);
                }
            }
            "requirements.lock" => {
                decode::yaml(&file.data).map_err(failed("requirements.lock"))?;
                if is_v1 {
                    self.files.push(file);
                } else {
                    self.warnings.push("load.go:138: Warning: Dependency locking is handled in Chart.lock since apiVersion \"v2\". We recommend migrating to Chart.lock.".to_owned());
                }
            }
            name if name.starts_with("templates/") => self.templates.push(file),
            name => match name.strip_prefix("charts/") {
                Some(inner) if extension(inner) != ".prov" => {
                    let group = inner.split('/').next().unwrap_or(inner).to_owned();
                    let inner = ChartFile { name: inner.to_owned(), data: file.data };
                    subcharts.entry(group).or_default().push(inner);
                }
                _ => self.files.push(file),
            },
        }
        Ok(())
    }

    fn subchart(&self, name: &str, files: Vec<ChartFile>, room: &mut Room, depth: usize) -> Result<Self, ChartError> {
        let loaded = if extension(name) == ".tgz" {
            match files.first() {
                Some(file) if file.name == name => source::read_archive(&file.data, room)
                    .map_err(ChartError::from)
                    .and_then(|files| Self::build(files, room, depth)),
                other => {
                    return Err(ChartError::SubchartArchive {
                        chart: self.metadata.name.clone(),
                        expected: name.to_owned(),
                        got: other.map(|f| f.name.clone()).unwrap_or_default(),
                    });
                }
            }
        } else {
            let inner = files.into_iter().filter_map(|f| {
                let (_, name) = f.name.split_once('/')?;
                Some(ChartFile { name: name.to_owned(), data: f.data })
            });
            Self::build(inner.collect(), room, depth)
        };
        loaded.map_err(|problem| ChartError::Subchart {
            name: name.to_owned(),
            chart: self.metadata.name.clone(),
            problem: Box::new(problem),
        })
    }

    /// Checks that the chart is an application.
    ///
    /// # Errors
    /// It is a library.
    pub fn check_installable(&self) -> Result<(), ChartError> {
        match self.metadata.kind.as_str() {
            "" | "application" => Ok(()),
            kind => Err(ChartError::Invalid(format!("{kind} charts are not installable"))),
        }
    }

    /// Checks that every declared dependency is in `charts/`, enabled or not.
    ///
    /// # Errors
    /// The names that are missing.
    pub fn check_dependencies(&self) -> Result<(), ChartError> {
        let declared = self.metadata.dependencies.iter().flatten().flatten();
        let present = |name: &str| self.dependencies.iter().any(|d| d.metadata.name == name);
        let missing: Vec<_> = declared.map(|d| d.name.as_str()).filter(|name| !present(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ChartError::Invalid(format!(
            "An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to \
             fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
            missing.join(", ")
        )))
    }

    /// Whether only the partials of this chart count.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }

    /// The files under `crds/`, in load order.
    pub fn own_crds(&self) -> impl Iterator<Item = &ChartFile> {
        self.files.iter().filter(|f| {
            let ext = extension(&f.name);
            f.name.starts_with("crds/") && [".yaml", ".yml", ".json"].iter().any(|e| ext.eq_ignore_ascii_case(e))
        })
    }
}

/// Go's `filepath.Ext`: from the last dot of the last part on.
pub(super) fn extension(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.rfind('.').and_then(|at| base.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(files: &[(&str, &str)]) -> Result<Chart, ChartError> {
        Chart::from_memory(files.iter().map(|(name, text)| (*name, (*text).to_owned())))
    }

    const META: &str = "{apiVersion: v2, name: c, version: 1.0.0}";

    #[test]
    fn files_are_sorted_by_their_names() {
        let c = chart(&[
            ("Chart.yaml", META),
            ("values.yaml", "a: 1"),
            ("templates/d/x.txt", "t"),
            ("crds/b.YAML", "k"),
            ("crds/README.md", "k"),
            ("charts/z/Chart.yaml", "{name: z, version: 1}"),
            ("charts/a/Chart.yaml", "{name: a, version: 1}"),
            ("charts/_x/y", ""),
            ("charts/a.tgz.prov", ""),
        ])
        .unwrap();
        assert_eq!(c.templates.len(), 1);
        assert_eq!(c.own_crds().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["crds/b.YAML"]);
        assert_eq!(
            c.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["crds/b.YAML", "crds/README.md", "charts/a.tgz.prov"]
        );
        assert_eq!(c.dependencies.iter().map(|d| d.metadata.name.as_str()).collect::<Vec<_>>(), ["a", "z"]);
    }

    #[test]
    fn load_errors_are_helms() {
        for (files, want) in [
            (&[][..], "Chart.yaml file is missing"),
            (
                &[("Chart.yaml", META), ("charts/README.md", "")],
                "error unpacking subchart README.md in c: Chart.yaml file is missing",
            ),
            (
                &[("Chart.yaml", META), ("values.yaml", "[1]")],
                "cannot load values.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (
                &[("Chart.yaml", META), ("charts/x.tgz/a", "")],
                "error unpacking subchart tar in c: expected x.tgz, got x.tgz/a",
            ),
        ] {
            assert_eq!(chart(files).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn a_chart_that_could_not_be_read_may_be_read_again_and_a_broken_one_not() {
        let unread =
            || SourceError::Open { op: "open", path: "c".into(), error: std::io::ErrorKind::Interrupted.into() };
        let within = |problem: ChartError| {
            let (name, chart) = ("s".to_owned(), "c".to_owned());
            ChartError::Subchart { name, chart, problem: Box::new(problem) }
        };
        assert!(ChartError::from(unread()).is_retryable() && within(unread().into()).is_retryable());
        let missing = Chart::load(Path::new("/no/such/chart")).unwrap_err();
        assert!(!missing.is_retryable() && !within(ChartError::NoMetadata).is_retryable());
    }

    #[test]
    fn a_declared_chart_must_be_present() {
        let c = chart(&[("Chart.yaml", "{name: c, version: 1, dependencies: [{name: zz}, {name: yy}]}")]).unwrap();
        let text = c.check_dependencies().unwrap_err().to_string();
        assert!(text.ends_with("missing in charts/ directory: zz, yy"), "{text}");
    }
}
