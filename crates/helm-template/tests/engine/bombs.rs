//! The hostile charts: small descriptions of what becomes large.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What must come of a chart.
pub enum Want {
    /// An error with these words, or success.
    Error(&'static str),
    /// It is large, but a chart may be so.
    Success,
}

/// A hostile chart.
pub struct Bomb {
    pub title: &'static str,
    pub want: Want,
    files: Vec<(String, Vec<u8>)>,
    /// Links in the chart: name and target.
    links: Vec<(String, &'static str)>,
    archive: Option<Vec<u8>>,
}

const META: &str = "{apiVersion: v2, name: c, version: 1.0.0}";
/// Where the errors of the one template stand.
const PLACE: &str = "c/templates/a.yaml";

impl Bomb {
    fn new(title: &'static str, want: Want) -> Self {
        Self { title, want, files: vec![], links: vec![], archive: None }.with("Chart.yaml", META)
    }

    /// A file; of two with one name the later counts.
    fn with(mut self, name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Writes the chart below a directory and says where.
    pub fn write(&self, dir: &Path) -> PathBuf {
        if let Some(archive) = &self.archive {
            let path = dir.join("c.tgz");
            std::fs::write(&path, archive).unwrap();
            return path;
        }
        let chart = dir.join("c");
        for (name, text) in &self.files {
            let path = chart.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for (name, target) in &self.links {
            std::os::unix::fs::symlink(target, chart.join(name)).unwrap();
        }
        chart
    }
}

/// All of them.
pub fn all() -> Vec<Bomb> {
    let lines = include_str!("hostile.txt").lines().filter(|line| !line.starts_with('#'));
    let templates = lines.map(|line| {
        let (title, text) = line.split_once(" => ").expect("a line has a title");
        Bomb::new(title, Want::Error(PLACE)).with("templates/a.yaml", text).with("files/a.bin", vec![b'a'; 4 << 20])
    });
    templates
        .chain(sources())
        .chain(values())
        .chain(dependencies())
        .chain(schemas())
        .chain(archives())
        .chain(large())
        .collect()
}

/// So many lines, each made from its number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

/// Sources of templates that are themselves large.
fn sources() -> Vec<Bomb> {
    let file = |text: &str, bytes: usize| text.repeat(bytes / text.len()).into_bytes();
    let many = |title, text: &str, count: usize, bytes: usize| {
        let bomb = Bomb::new(title, Want::Error(""));
        (0..count).fold(bomb, |bomb, i| bomb.with(format!("templates/{i}.yaml"), file(text, bytes)))
    };
    let variables = lines(100_000, |i| format!("{{{{ $v{i} := 1 }}}}"));
    let uses = "{{ $v0 }}".repeat(100_000);
    let literal = format!("{{{{ range until 100000 }}}}{{{{ $x := \"{}\" }}}}{{{{ end }}}}", "x".repeat(4 << 20));
    let text = format!("{{{{ range until 100000 }}}}{}{{{{ end }}}}", "x".repeat(4 << 20));
    let names = format!("{{{{ range until 1000000 }}}}{{{{ ${} }}}}{{{{ end }}}}", ".a".repeat(100_000));
    let (ones, zeros) = (" 1".repeat(100_000), " 1".repeat(100_000));
    let arguments =
        format!("{{{{ range until 100000 }}}}{{{{ $x := max{ones} }}}}{{{{ $y := and{zeros} }}}}{{{{ end }}}}");
    let level = format!(
        "{{{{ define \"r\" }}}}{{{{ include \"r\" (list . \"{}\") }}}}{{{{ end }}}}{{{{ include \"r\" 1 }}}}",
        "x".repeat(1 << 20)
    );
    vec![
        Bomb::new("a giant literal in every level of an error", Want::Error(PLACE)).with("templates/a.yaml", level),
        Bomb::new("very many arguments in a loop", Want::Error(PLACE)).with("templates/a.yaml", arguments),
        many("very many actions", "{{.}}", 12, 5 << 20),
        many(
            "very many arguments",
            "{{ list 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 }}",
            12,
            5 << 20,
        ),
        many("very many definitions", "{{ block \"x\" . }}{{ end }}", 12, 5 << 20),
        many("very much plain text", "# text\n", 60, 5 << 20),
        Bomb::new("very many variables", Want::Error(PLACE)).with("templates/a.yaml", variables + &uses),
        Bomb::new("a large literal in a loop", Want::Error(PLACE)).with("templates/a.yaml", literal),
        Bomb::new("a large text in a loop", Want::Error(PLACE)).with("templates/a.yaml", text),
        Bomb::new("very many names of fields in a loop", Want::Error(PLACE)).with("templates/a.yaml", names),
    ]
}

/// What is large but no attack: definitions and dashboards of 5 MiB, each value printed, indented and hashed.
fn large() -> Vec<Bomb> {
    let template = "{{- range $i := until 2500 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{{ $i }}\n  labels: \
                    {{- include \"labels\" (dict \"i\" $i \"root\" $) | nindent 4 }}\ndata:\n  {{ printf \"k%d\" $i }}: |\n\
                    {{ $.Files.Get \"files/dashboard.json\" | indent 4 }}\n  sum: {{ $.Values | toYaml | sha256sum }}\n{{- end }}\n";
    let labels = "{{ define \"labels\" }}{{ toYaml .root.Values.labels }}\ni: {{ .i | quote }}{{ end }}";
    let dashboard = lines(40, |i| format!("{{\"panel\": {i}, \"expr\": \"sum(rate(x[5m]))\"}}\n"));
    let values = lines(20, |i| format!("k{i}: {{a: b, c: [1, 2]}}\n"));
    vec![
        Bomb::new("a large chart that is meant so", Want::Success)
            .with("templates/a.yaml", template)
            .with("templates/_labels.tpl", labels)
            .with("files/dashboard.json", dashboard)
            .with("values.yaml", values + "labels: {app: x, tier: y}\n"),
    ]
}

fn values() -> Vec<Bomb> {
    let mut aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..9 {
        let items = vec![format!("*a{}", i - 1); 9].join(",");
        aliases.push_str(&[format!("a{i}: &a{i} ["), items, "]\n".to_owned()].concat());
    }
    let template = "{{ len .Values }}";
    let with =
        |title, want, text: String| Bomb::new(title, want).with("values.yaml", text).with("templates/a.yaml", template);
    let wide = lines(400_000, |i| format!("k{i}: {{}}\n"));
    let mut clash = Bomb::new("values that clash in every subchart", Want::Error(""))
        .with("values.yaml", format!("global:\n{}", lines(20_000, |i| format!("  k{i}: {{a: {{b: 1}}}}\n"))))
        .with("templates/a.yaml", template);
    for i in 0..300 {
        let name = format!("charts/s{i}/Chart.yaml");
        clash = clash.with(name, format!("{{apiVersion: v2, name: s{i}, version: 1.0.0}}"));
    }
    vec![
        with("values with aliases of aliases", Want::Error("values.yaml"), aliases),
        with("values of many items", Want::Error(""), format!("a: [{}]", "1,".repeat(1_900_000))),
        with("values of many maps", Want::Error(""), wide),
        clash,
    ]
}

fn dependencies() -> Vec<Bomb> {
    let aliases = |chart: &str, count: usize| {
        let list: Vec<String> = (0..count)
            .map(|i| format!("{{name: {chart}, version: 1.0.0, repository: '', alias: {chart}{i}}}"))
            .collect();
        list.join(", ")
    };
    let metadata =
        |name: &str, list: &str| format!("{{apiVersion: v2, name: {name}, version: 1.0.0, dependencies: [{list}]}}");
    let mut deep = Bomb::new("subcharts of subcharts under many names", Want::Error(""));
    let mut path = String::new();
    for (name, next) in [("c", "s1"), ("s1", "s2"), ("s2", "s3"), ("s3", "s4")] {
        deep = deep.with(format!("{path}Chart.yaml"), metadata(name, &aliases(next, 100)));
        path.push_str(&["charts/", next, "/"].concat());
    }
    deep = deep
        .with(format!("{path}Chart.yaml"), "{apiVersion: v2, name: s4, version: 1.0.0}")
        .with(format!("{path}templates/a.yaml"), "a: 1");
    let many = Bomb::new("one subchart under very many names", Want::Error(""))
        .with("Chart.yaml", metadata("c", &aliases("s", 50_000)))
        .with("charts/s/Chart.yaml", "{apiVersion: v2, name: s, version: 1.0.0}")
        .with("charts/s/values.yaml", lines(1000, |i| format!("k{i}: {{a: b}}\n")))
        .with("charts/s/templates/a.yaml", "a: 1");
    let imports: Vec<String> = (0..20_000).map(|i| format!("{{child: '.', parent: p{i}}}")).collect();
    let import = Bomb::new("values imported very many times", Want::Error(""))
        .with(
            "Chart.yaml",
            metadata(
                "c",
                &format!("{{name: s, version: 1.0.0, repository: '', import-values: [{}]}}", imports.join(", ")),
            ),
        )
        .with("charts/s/Chart.yaml", "{apiVersion: v2, name: s, version: 1.0.0}")
        .with("charts/s/values.yaml", lines(1000, |i| format!("k{i}: {{a: b}}\n")));
    let deeper = format!("{{child: '.', parent: '{}'}}", vec!["a"; 500_000].join("."));
    let deeper = Bomb::new("values imported to a deep place", Want::Error(""))
        .with(
            "Chart.yaml",
            metadata("c", &format!("{{name: s, version: 1.0.0, repository: '', import-values: [{deeper}]}}")),
        )
        .with("charts/s/Chart.yaml", "{apiVersion: v2, name: s, version: 1.0.0}")
        .with("charts/s/values.yaml", "a: 1");
    let keywords = vec!["keyword"; 200_000].join(", ");
    let described = Bomb::new("a long description under many names", Want::Error(""))
        .with("Chart.yaml", metadata("c", &aliases("s", 2000)))
        .with("charts/s/Chart.yaml", format!("{{apiVersion: v2, name: s, version: 1.0.0, keywords: [{keywords}]}}"));
    let condition = Bomb::new("a condition of very many paths", Want::Error(""))
        .with(
            "Chart.yaml",
            metadata(
                "c",
                &format!("{{name: s, version: 1.0.0, repository: '', condition: '{}'}}", "a.b.c,".repeat(500_000)),
            ),
        )
        .with("charts/s/Chart.yaml", "{apiVersion: v2, name: s, version: 1.0.0}");
    let mut tower = Bomb::new("a tower of subcharts", Want::Error(""))
        .with("values.yaml", lines(5000, |i| format!("k{i}: {{a: b}}\n")));
    let mut path = String::new();
    for _ in 0..200 {
        path += "charts/c/";
        tower = tower
            .with(format!("{path}Chart.yaml"), META)
            .with(format!("{path}values.yaml"), lines(200, |i| format!("k{i}: {{a: b}}\n")))
            .with(format!("{path}templates/a.yaml"), "{{ .Files | len }}");
    }
    let mut ignored = Bomb::new("very many rules of files to ignore", Want::Error(""))
        .with(".helmignore", lines(200_000, |i| format!("x*y{i}*z\n")));
    for i in 0..2000 {
        ignored = ignored.with(format!("files/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{i}"), "x");
    }
    let mut links =
        Bomb::new("links to the directory around them", Want::Error("")).with("files/a.bin", vec![b'a'; 1 << 20]);
    links.links.extend((0..3).map(|i| (format!("l{i}"), ".")));
    vec![deep, many, import, deeper, described, condition, tower, ignored, links]
}

fn schemas() -> Vec<Bomb> {
    let with = |title, schema: String, values: String| {
        Bomb::new(title, Want::Error(""))
            .with("values.schema.json", schema)
            .with("values.yaml", values)
            .with("templates/a.yaml", "a: 1")
    };
    let chain = |one: &dyn Fn(usize) -> String| {
        let definitions: Vec<String> = (0..60).map(|i| format!("\"d{i}\": {}", one(i + 1))).collect();
        format!("{{\"$ref\": \"#/$defs/d0\", \"$defs\": {{{}, \"d60\": true}}}}", definitions.join(", "))
    };
    let twice = chain(&|i| format!("{{\"allOf\": [{{\"$ref\": \"#/$defs/d{i}\"}}, {{\"$ref\": \"#/$defs/d{i}\"}}]}}"));
    let any = chain(&|i| {
        format!("{{\"anyOf\": [{{\"not\": {{\"$ref\": \"#/$defs/d{i}\"}}}}, {{\"$ref\": \"#/$defs/d{i}\"}}]}}")
    });
    let anchors: Vec<String> = (0..60)
        .map(|i| {
            format!("{{\"$anchor\": \"a{i}\", \"allOf\": [{{\"$ref\": \"#a{0}\"}}, {{\"$ref\": \"#a{0}\"}}]}}", i + 1)
        })
        .collect();
    let anchors = format!(
        "{{\"$ref\": \"#a0\", \"$defs\": {{\"x\": {{\"allOf\": [{}, {{\"$anchor\": \"a60\"}}]}}}}}}",
        anchors.join(", ")
    );
    let named: Vec<String> = (0..60)
        .map(|i| format!("\"d{i}\": {{\"$id\": \"http://x/d{i}\", \"allOf\": [{{\"$ref\": \"d{0}\"}}, {{\"$ref\": \"http://x/d{0}\"}}]}}", i + 1))
        .collect();
    let named = format!(
        "{{\"$id\": \"http://x/root\", \"$ref\": \"d0\", \"$defs\": {{{}, \"e\": {{\"$id\": \"http://x/d60\"}}}}}}",
        named.join(", ")
    );
    let tree = r##"{"$id": "http://x/t", "$dynamicAnchor": "n", "type": "object", "additionalProperties": {"allOf": [{"$dynamicRef": "#n"}, {"$dynamicRef": "#n"}]}}"##;
    let patterns: Vec<String> =
        (0..20_000).map(|i| format!("{{\"pattern\": \"(\\\\p{{L}}{{100}}){{9}}{i}\"}}")).collect();
    let patterns = format!("{{\"properties\": {{\"a\": {{\"anyOf\": [{}]}}}}}}", patterns.join(", "));
    let items = lines(50_000, |i| format!("- {{a: {i}}}\n"));
    let findings = lines(100_000, |i| format!("- {i}\n"));
    let deep_values = format!("a: {}1{}", "{a: ".repeat(60), "}".repeat(60));
    vec![
        with("a schema that refers twice, again and again", twice, "a: 1".to_owned()),
        with("a schema that tries twice, again and again", any, "a: 1".to_owned()),
        with("a schema that refers to anchors twice", anchors, "a: 1".to_owned()),
        with("a schema that refers to names twice", named, "a: 1".to_owned()),
        with("a schema that refers dynamically twice", tree.to_owned(), deep_values),
        with("a schema that refers to itself", r##"{"$ref": "#"}"##.to_owned(), "a: 1".to_owned()),
        with("a schema of many large patterns", patterns, "a: x".to_owned()),
        with(
            "a schema of unique items",
            r#"{"properties": {"a": {"uniqueItems": true}}}"#.to_owned(),
            format!("a:\n{items}"),
        ),
        with(
            "a schema with very many findings",
            r#"{"properties": {"a": {"items": {"type": "string"}}}}"#.to_owned(),
            format!("a:\n{findings}"),
        ),
        with(
            "a deep schema",
            format!("{}true{}", r#"{"not":"#.repeat(100_000), "}".repeat(100_000)),
            "a: 1".to_owned(),
        ),
    ]
}

fn archives() -> Vec<Bomb> {
    let plain = |title, archive| Bomb { archive: Some(archive), ..Bomb::new(title, Want::Error("")) };
    let metadata = ("c/Chart.yaml".to_owned(), META.as_bytes().to_vec());
    let zeros = tar((0..19).map(|i| (format!("c/files/{i}"), vec![0; 5 << 20])).chain([metadata.clone()]));
    let inner = tar((0..19)
        .map(|i| (format!("s/files/{i}"), vec![0; 5 << 20]))
        .chain([("s/Chart.yaml".to_owned(), META.as_bytes().to_vec())]));
    let nested = tar((0..30).map(|i| (format!("c/charts/{i}.tgz"), inner.clone())).chain([metadata.clone()]));
    let tiny = tar((0..100_000).map(|i| (format!("c/files/{i}"), vec![])).chain([metadata.clone()]));
    let mut endless = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..400 {
        endless.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let mut tower = tar([metadata.clone()]);
    for _ in 0..1000 {
        tower = tar([metadata.clone(), ("c/charts/c.tgz".to_owned(), tower)]);
    }
    vec![
        plain("an archive of zeros", zeros),
        plain("an archive of archives of zeros", nested),
        plain("an archive of very many files", tiny),
        plain("an archive of nothing without end", endless.finish().unwrap()),
        plain("an archive with a giant name", giant_name()),
        plain("an archive in an archive in an archive", tower),
    ]
}

fn tar(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, data.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// An entry whose name is 150 MiB long.
fn giant_name() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    let name = vec![b'a'; 150 << 20];
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(name.len() as u64);
    header.set_cksum();
    tar.append(&header, name.as_slice()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    tar.append_data(&mut header, "c/Chart.yaml", &b"x"[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}
