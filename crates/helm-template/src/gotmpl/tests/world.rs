//! The options of the recorded templates: a small part of what Helm puts around its charts.

use super::super::*;
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

const FILE: &str = "c/templates/_t.tpl";
const MANIFEST: &str = "c/templates/a.yaml";

/// How often each template is being included right now.
#[derive(Default)]
struct Includes(RefCell<HashMap<String, usize>>);

pub(super) struct World {
    pub set: TemplateSet,
    host: Host,
    includes: Includes,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Budgets::default())
    }

    pub(super) fn with(budgets: Budgets) -> Self {
        let functions = Functions::new().with(PLAIN).with_exec_functions(EXEC).with_values_methods(METHODS);
        let host = Host::fixed().with_budgets(budgets);
        Self { set: TemplateSet::new("gotpl", functions.into()), host, includes: Includes::default() }
    }

    pub(super) fn context(&self) -> ExecContext<'_> {
        ExecContext { host: &self.host, state: &self.includes }
    }

    /// What `helm template` prints for a manifest that includes `t` from a file with this text.
    pub(super) fn render(&self, text: &str) -> Result<String, String> {
        self.includes.0.borrow_mut().clear();
        let mut set = self.set.clone();
        let parse_error = |e: ParseError| {
            let message = e.message.rsplit(": ").next().unwrap_or_default();
            format!("parse error at ({}:{}): {message}", e.file, e.line)
        };
        set.parse(MANIFEST, "a: {{ include \"t\" . | b64enc }}").map_err(parse_error)?;
        set.parse(FILE, text).map_err(parse_error)?;
        let written = execute(&set, MANIFEST, data(), &self.context()).map_err(|e| match e.abort_message() {
            Some(message) => format!("execution error at ({}): {message}", e.location().unwrap()),
            None => e.to_string(),
        })?;
        Ok(String::from_utf8_lossy(&written).trim_start_matches("a: ").to_owned())
    }
}

/// The data of the recorded chart.
fn data() -> Value {
    let nested = Value::map([("a", Value::Float(1.0)), ("b", Value::map([("c", text("deep"))])), ("", text("x"))]);
    let list = vec![Value::Float(1.0), text("two"), Value::Float(3.5), Value::Nil, Value::map([("k", text("v"))])];
    let values = [
        ("s", text("str")),
        ("num", Value::Float(3.0)),
        ("f", Value::Float(1.5)),
        ("t", Value::Bool(true)),
        ("nul", Value::Nil),
        ("m", nested),
        ("l", Value::list(list)),
        ("e", Value::map::<&str>([])),
        ("el", Value::list(Vec::new())),
        ("big", Value::Float(12_345_678.0)),
        ("neg", Value::Float(-2.0)),
        ("u", text("é<&>'\"\\")),
        ("z", Value::Float(0.0)),
        ("es", text("")),
        ("i", Value::Int64(7)),
    ];
    let root = [
        ("Values", retyped(Value::map(values))),
        (
            "Chart",
            Value::Object(Rc::new(Thing { kind: "struct", type_name: "struct { chart.Metadata; IsRoot bool }" })),
        ),
        ("Capabilities", Value::Object(Rc::new(Thing { kind: "ptr", type_name: "*chartutil.Capabilities" }))),
        ("Files", Value::Object(Rc::new(Thing { kind: "map", type_name: "engine.files" }))),
        ("Release", Value::map([("Name", text("x")), ("IsInstall", Value::Bool(true))])),
        ("Subcharts", Value::map::<&str>([])),
        ("Template", retyped(Value::map([("Name", text(MANIFEST)), ("BasePath", text("c/templates"))]))),
    ];
    retyped(Value::map(root))
}

fn text(s: &str) -> Value {
    Value::string(s)
}

fn retyped(value: Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(map.retyped(MapKind::Values)),
        other => other,
    }
}

/// A stand-in for Helm's structs.
struct Thing {
    kind: &'static str,
    type_name: &'static str,
}

impl Object for Thing {
    fn type_name(&self) -> &str {
        self.type_name
    }
    fn kind_name(&self) -> &str {
        self.kind
    }
    fn field(&self, name: &str) -> Option<Value> {
        match (self.kind, name) {
            ("struct", "Name") => Some(text("c")),
            ("struct", "Keywords") => Some(Value::strings::<&str>([])),
            _ => None,
        }
    }
    fn has_method(&self, name: &str) -> bool {
        self.kind == "map" && name == "Get"
    }
    fn method_signature(&self, _: &str) -> Option<Signature> {
        Some(Signature { params: &[Type::String], variadic: None })
    }
    fn call(&self, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        Some(Ok(text("")))
    }
    fn display(&self) -> String {
        "map[]".to_owned()
    }
    fn entries(&self) -> Option<Vec<(Text, Value)>> {
        (self.kind == "map").then(Vec::new)
    }
    fn to_json(&self) -> Result<String, String> {
        Ok("{}".to_owned())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

const fn pure(name: &'static str, params: &'static [Type], variadic: Option<Type>, call: FunctionCall) -> Function {
    Function { name, params, variadic, call }
}

fn string(value: &Value) -> String {
    String::from_utf8(format::display(value)).unwrap()
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(i) | Value::Int64(i) => *i,
        #[expect(clippy::cast_possible_truncation, reason = "the recorded templates use small numbers")]
        Value::Float(f) => *f as i64,
        _ => 0,
    }
}

fn map(value: &Value) -> &Map {
    match value {
        Value::Map(map) => map,
        _ => panic!("the evaluator lets only maps through"),
    }
}

/// The functions of sprig that the recorded templates use.
const PLAIN: &[Function] = &[
    pure("list", &[], Some(Type::Any), |_, a| Ok(Value::list(a.to_vec()))),
    pure("dict", &[], Some(Type::Any), |_, a| Ok(Value::map(a.chunks(2).map(|p| (string(&p[0]), p[1].clone()))))),
    pure("get", &[Type::Map, Type::String], None, |_, a| {
        Ok(map(&a[0]).get(&string(&a[1])).unwrap_or_else(|| text("")))
    }),
    pure("set", &[Type::Map, Type::String, Type::Any], None, |_, a| {
        map(&a[0]).set(string(&a[1]), a[2].clone());
        Ok(a[0].clone())
    }),
    pure("hasKey", &[Type::Map, Type::String], None, |_, a| Ok(Value::Bool(map(&a[0]).get(&string(&a[1])).is_some()))),
    pure("keys", &[], Some(Type::Map), |_, a| {
        Ok(Value::strings(a.iter().flat_map(|m| map(m).snapshot()).map(|(key, _)| key)))
    }),
    pure("upper", &[Type::String], None, |_, a| Ok(text(&string(&a[0]).to_uppercase()))),
    pure("repeat", &[Type::Int, Type::String], None, |_, a| {
        Ok(text(&string(&a[1]).repeat(usize::try_from(int(&a[0])).unwrap())))
    }),
    pure("until", &[Type::Int], None, |_, a| {
        Ok(Value::List(List::new(ListKind::Ints, (0..int(&a[0])).map(Value::Int).collect())))
    }),
    pure("ternary", &[Type::Any, Type::Any, Type::Bool], None, |_, a| {
        Ok(if a[2].is_true() { a[0].clone() } else { a[1].clone() })
    }),
    pure("int", &[Type::Any], None, |_, a| Ok(Value::Int(int(&a[0])))),
    pure("int64", &[Type::Any], None, |_, a| Ok(Value::Int64(int(&a[0])))),
    pure("add", &[], Some(Type::Any), |_, a| Ok(Value::Int64(a.iter().map(int).sum()))),
    pure("join", &[Type::String, Type::Any], None, |_, a| Ok(a[1].clone())),
    pure("default", &[Type::Any], Some(Type::Any), |_, a| {
        Ok(a.get(1).filter(|v| v.is_true()).unwrap_or(&a[0]).clone())
    }),
    pure("first", &[Type::Any], None, |_, a| match &a[0] {
        Value::List(list) => Ok(list.get(0).unwrap_or(Value::Nil)),
        other => Err(format!("Cannot find first on type {}", other.type_name())),
    }),
    pure("splitList", &[Type::String, Type::String], None, |_, a| {
        Ok(Value::strings(string(&a[1]).split(&string(&a[0]))))
    }),
    // The recorded answers are what is encoded.
    pure("b64enc", &[Type::String], None, |_, a| Ok(a[0].clone())),
];

const fn native(name: &'static str, params: &'static [Type], call: ExecFunctionCall) -> ExecFunction {
    ExecFunction { name, params, variadic: None, call }
}

/// Helm's functions.
const EXEC: &[ExecFunction] = &[
    native("fail", &[Type::String], |_, a| Err(CallError::abort(string(&a[0])))),
    native("required", &[Type::String, Type::Any], |_, a| match &a[1] {
        Value::Nil => Err(CallError::abort(string(&a[0]))),
        Value::String(s) if s.as_bytes().is_empty() => Err(CallError::abort(string(&a[0]))),
        other => Ok(other.clone()),
    }),
    native("include", &[Type::String, Type::Any], include),
    native("tpl", &[Type::String, Type::Any], |exec, a| {
        let source = string(&a[0]);
        let mut set = exec.templates().clone();
        set.parse("gotpl", &source).map_err(|e| format!("cannot parse template {source:?}: {e}"))?;
        let written = exec.execute_in(set, "gotpl", a[1].clone());
        let introduction = format!("error during tpl function execution for {source:?}: ");
        written.map(Value::string).map_err(|e| CallError::nested(introduction, e))
    }),
];

fn include(exec: &mut Executor<'_>, arguments: &[Value]) -> Result<Value, CallError> {
    let name = string(&arguments[0]);
    let includes = exec.state().downcast_ref::<Includes>().unwrap();
    let count = *includes.0.borrow().get(&name).unwrap_or(&0);
    if count > 1000 {
        let message = "unable to execute template";
        return Err(CallError::text(format!("rendering template has a nested reference name: {name}: {message}")));
    }
    includes.0.borrow_mut().insert(name.clone(), count + 1);
    let written = exec.execute(&name, arguments[1].clone())?;
    includes.0.borrow_mut().insert(name, count);
    Ok(Value::string(written))
}

/// The methods of `chartutil.Values`, as far as their arguments go.
const METHODS: &[Method] = &[
    Method { name: "YAML", params: &[], variadic: None, cost: free, call: |_, _| Ok(text("")) },
    Method {
        name: "AsMap",
        params: &[],
        variadic: None,
        cost: free,
        call: |m, _| Ok(Value::Map(m.retyped(MapKind::Any))),
    },
    Method {
        name: "Table",
        params: &[Type::String],
        variadic: None,
        cost: free,
        call: |m, a| Ok(retyped(m.get(&string(&a[0])).unwrap())),
    },
    Method {
        name: "PathValue",
        params: &[Type::String],
        variadic: None,
        cost: free,
        call: |m, a| {
            let path = string(&a[0]);
            let value = path.split('.').fold(Value::Map(m.clone()), |v, key| map(&v).get(key).unwrap());
            Ok(value)
        },
    },
    Method { name: "Encode", params: &[Type::Any], variadic: None, cost: free, call: |_, _| Ok(Value::Nil) },
];

fn free(_: &Map, _: &[Value]) -> Cost {
    Cost::default()
}
