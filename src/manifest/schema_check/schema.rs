//! The schema of a CRD, compiled once: patterns and rules are ready to evaluate.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use regex::Regex;
use serde_json::Value;

use super::error::SchemaError;
use crate::api::OF_EACH_KEY;
use crate::manifest::cel::{Program, regex};
use crate::manifest::yaml::Step;

/// One node of a schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// Names of JSON types; none: any.
    pub(super) types: Vec<&'static str>,
    pub(super) is_nullable: bool,
    pub(super) keeps_unknown: bool,
    pub(super) properties: BTreeMap<String, Schema>,
    pub(super) required: Vec<String>,
    pub(super) additional: Option<Box<Schema>>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) default: Option<Value>,
    pub(super) allowed: Vec<Value>,
    pub(super) pattern: Option<Regex>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    /// Bounds on characters, members or keys.
    pub(super) length: Bounds,
    pub(super) members: Bounds,
    pub(super) keys: Bounds,
    pub(super) unique: Unique,
    pub(super) rules: Vec<Rule>,
}

/// Bounds on a count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

/// What must be unique in a list.
#[derive(Debug, Default)]
pub(super) enum Unique {
    #[default]
    Nothing,
    /// A member.
    Members,
    /// The values of these fields of a member.
    Keys(Vec<String>),
}

/// A rule of `x-kubernetes-validations`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) program: Program,
    pub(super) message: String,
    pub(super) message_program: Option<Program>,
    /// It holds for each key of a map by itself.
    pub(super) is_of_each_key: bool,
    /// The field it is about, relative to its node.
    pub(super) field: Vec<Step>,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// It uses what is not supported here; a test compiles the schemas of all CRDs.
    pub(super) fn compile(props: &JSONSchemaProps) -> Result<Self, SchemaError> {
        let unsupported = props.all_of.is_some()
            || props.any_of.is_some()
            || props.one_of.is_some()
            || props.not.is_some()
            || props.multiple_of.is_some()
            || props.unique_items == Some(true)
            || props.exclusive_maximum == Some(true)
            || props.exclusive_minimum == Some(true)
            || props.x_kubernetes_embedded_resource == Some(true);
        if unsupported {
            return Err(SchemaError::UnsupportedKeyword);
        }
        let types = if props.x_kubernetes_int_or_string == Some(true) {
            vec!["integer", "string"]
        } else {
            props.type_.as_deref().map(type_name).transpose()?.into_iter().collect()
        };
        let is_int32 = props.format.as_deref() == Some("int32");
        let (additional, keeps_unknown) = match &props.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(schema)) => (Some(Box::new(Self::compile(schema)?)), false),
            Some(JSONSchemaPropsOrBool::Bool(any)) => (None, *any),
            None => (None, false),
        };
        let items = match &props.items {
            Some(JSONSchemaPropsOrArray::Schema(schema)) => Some(Box::new(Self::compile(schema)?)),
            Some(JSONSchemaPropsOrArray::Schemas(_)) => return Err(SchemaError::ItemsOfSeveralSchemas),
            None => None,
        };
        let mut properties = BTreeMap::new();
        for (name, property) in props.properties.iter().flatten() {
            let compiled = Self::compile(property)
                .map_err(|source| SchemaError::Field { name: name.clone(), source: Box::new(source) })?;
            properties.insert(name.clone(), compiled);
        }
        let unique = match props.x_kubernetes_list_type.as_deref() {
            Some("set") => Unique::Members,
            Some("map") => Unique::Keys(props.x_kubernetes_list_map_keys.clone().unwrap_or_default()),
            _ => Unique::Nothing,
        };
        Ok(Self {
            types,
            is_nullable: props.nullable == Some(true),
            keeps_unknown: keeps_unknown || props.x_kubernetes_preserve_unknown_fields == Some(true),
            properties,
            required: props.required.clone().unwrap_or_default(),
            additional,
            items,
            default: props.default.as_ref().map(|default| default.0.clone()),
            allowed: props.enum_.iter().flatten().map(|value| value.0.clone()).collect(),
            pattern: props.pattern.as_deref().map(pattern).transpose()?,
            minimum: props.minimum.or(is_int32.then_some(f64::from(i32::MIN))),
            maximum: props.maximum.or(is_int32.then_some(f64::from(i32::MAX))),
            length: Bounds::of(props.min_length, props.max_length),
            members: Bounds::of(props.min_items, props.max_items),
            keys: Bounds::of(props.min_properties, props.max_properties),
            unique,
            rules: (props.x_kubernetes_validations.iter().flatten())
                .map(Rule::compile)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The schema of a field.
    pub(super) fn of_field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

impl Bounds {
    fn of(min: Option<i64>, max: Option<i64>) -> Self {
        let count = |bound: Option<i64>| bound.and_then(|bound| usize::try_from(bound).ok());
        Self { min: count(min), max: count(max) }
    }
}

impl Rule {
    fn compile(rule: &ValidationRule) -> Result<Self, SchemaError> {
        if rule.rule.contains("oldSelf") {
            return Err(SchemaError::TransitionRule(rule.rule.clone()));
        }
        let compile = |rule: &str| {
            Program::compile(rule).map_err(|source| SchemaError::Rule { rule: rule.to_owned(), source })
        };
        let field = rule.field_path.as_deref().unwrap_or_default();
        Ok(Self {
            program: compile(&rule.rule)?,
            message: rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.rule.trim())),
            message_program: rule.message_expression.as_deref().map(compile).transpose()?,
            is_of_each_key: rule.rule.starts_with(OF_EACH_KEY),
            field: field
                .split('.')
                .filter(|name| !name.is_empty())
                .map(|name| Step::Key(name.to_owned()))
                .collect(),
        })
    }
}

fn type_name(name: &str) -> Result<&'static str, SchemaError> {
    ["object", "array", "string", "integer", "number", "boolean"]
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| SchemaError::UnknownType(name.to_owned()))
}

/// Compiles a pattern of a schema.
pub(super) fn pattern(pattern: &str) -> Result<Regex, SchemaError> {
    regex(pattern).map_err(|source| SchemaError::Pattern { pattern: pattern.to_owned(), source })
}
