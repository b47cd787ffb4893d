//! Go structs that templates see: `.Chart`, `.Capabilities` and what is inside them.

use crate::gotmpl::{Object, Signature, Value, price};
use crate::json::{Html, Writer};
use crate::sprig::json_write;
use std::any::Any;
use std::rc::Rc;

/// A field of a [`GoStruct`].
pub struct Field {
    /// Go's name, used in templates.
    pub name: &'static str,
    /// The name in JSON.
    pub json: &'static str,
    /// How the field takes part in JSON.
    pub rule: Rule,
    /// The content.
    pub value: Value,
}

/// How a field takes part in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Always written.
    Always,
    /// Left out when empty.
    OmitEmpty,
    /// An embedded struct: its fields count as fields of the outer one.
    Embedded,
}

/// A method without parameters: its name and its code.
pub type Method = (&'static str, fn(&GoStruct) -> Value);

/// A struct, or a pointer to one, with its fields in Go's order.
pub struct GoStruct {
    /// Go's name of the type.
    pub type_name: &'static str,
    /// The fields.
    pub fields: Vec<Field>,
    /// Methods without parameters.
    pub methods: &'static [Method],
}

impl GoStruct {
    /// The struct as a template value.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The bytes of a field's name and of its content.
    fn field_size(field: &Field) -> u64 {
        const LARGE: u64 = 1 << 28;
        32 + price::printed(&field.value, LARGE)
    }

    fn is_pointer(&self) -> bool {
        self.type_name.starts_with('*')
    }

    fn write_members(&self, writer: &mut Writer) -> Result<(), String> {
        for field in &self.fields {
            match (&field.value, field.rule) {
                (Value::Object(inner), Rule::Embedded) => {
                    if let Some(embedded) = inner.as_any().downcast_ref::<Self>() {
                        embedded.write_members(writer)?;
                    }
                }
                (value, Rule::OmitEmpty) if !value.is_true() => {}
                (value, _) => {
                    writer.key(field.json.as_bytes());
                    json_write::write(writer, value)?;
                }
            }
        }
        Ok(())
    }
}

impl Object for GoStruct {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind_name(&self) -> &str {
        if self.is_pointer() { "ptr" } else { "struct" }
    }

    fn field(&self, name: &str) -> Option<Value> {
        if let Some(field) = self.get(name) {
            return Some(field.value.clone());
        }
        self.fields.iter().filter(|f| f.rule == Rule::Embedded).find_map(|f| match &f.value {
            Value::Object(inner) => inner.field(name),
            _ => None,
        })
    }

    fn has_method(&self, name: &str) -> bool {
        self.methods.iter().any(|(n, _)| *n == name)
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(Signature { params: &[], variadic: None })
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        self.methods.iter().find(|(n, _)| *n == name).map(|(_, method)| Ok(method(self)))
    }

    fn weight(&self) -> u64 {
        self.fields.iter().map(Self::field_size).sum()
    }

    fn display(&self) -> String {
        match self.methods.iter().find(|(n, _)| *n == "String") {
            Some((_, method)) => super::text::plain(&method(self)),
            None => self.plain(),
        }
    }

    fn plain(&self) -> String {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|f| match &f.value {
                Value::Object(inner) => inner.plain(),
                other => super::text::plain(other),
            })
            .collect();
        format!("{}{{{}}}", if self.is_pointer() { "&" } else { "" }, fields.join(" "))
    }

    fn to_json(&self) -> Result<String, String> {
        let mut writer = Writer::new(Html::Escaped);
        writer.object(|writer| self.write_members(writer))?;
        Ok(writer.out)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
