//! The value of an expression, given the variables in scope.

use std::cmp::Ordering;

use super::ast::{Expression, Operator, Quantifier};
use super::error::CelError;
use super::value::Value;

/// The variables in sight.
pub(super) struct Scope<'a, 's> {
    name: &'s str,
    value: Value<'a>,
    outer: Option<&'s Scope<'a, 's>>,
}

impl<'a> Scope<'a, '_> {
    /// With `self` alone.
    pub(super) const fn of(this: Value<'a>) -> Self {
        Self { name: "self", value: this, outer: None }
    }

    fn find(&self, name: &str) -> Option<Value<'a>> {
        if self.name == name { Some(self.value.clone()) } else { self.outer?.find(name) }
    }
}

type Outcome<'a> = Result<Value<'a>, CelError>;

/// The value of `expression` in `scope`.
pub(super) fn evaluate<'a>(expression: &'a Expression, scope: &Scope<'a, '_>) -> Outcome<'a> {
    Ok(match expression {
        Expression::Null => Value::Null,
        Expression::Bool(value) => Value::Bool(*value),
        Expression::Integer(value) => Value::Integer(*value),
        Expression::Float(value) => Value::Float(*value),
        Expression::Text(text) => Value::Text(text.as_str().into()),
        Expression::List(members) => {
            Value::List(members.iter().map(|member| evaluate(member, scope)).collect::<Result<_, _>>()?)
        }
        Expression::Name(name) => scope.find(name).ok_or_else(|| CelError::UnknownVariable(name.clone()))?,
        Expression::Field(target, name) => {
            lookup(&evaluate(target, scope)?, name)?.ok_or_else(|| CelError::NoSuchKey(name.clone()))?
        }
        Expression::Has(target, name) => Value::Bool(lookup(&evaluate(target, scope)?, name)?.is_some()),
        Expression::Index(target, index) => {
            let target = evaluate(target, scope)?;
            match (evaluate(index, scope)?, target.items()) {
                (Value::Text(key), None) => {
                    lookup(&target, &key)?.ok_or_else(|| CelError::NoSuchKey(key.to_string()))?
                }
                (Value::Integer(index), Some(items)) => usize::try_from(index)
                    .ok()
                    .and_then(|index| items.into_iter().nth(index))
                    .ok_or(CelError::OutOfRange)?,
                (index, _) => {
                    let types = format!("{}[{}]", target.type_name(), index.type_name());
                    return Err(CelError::NoSuchOverload(types));
                }
            }
        }
        Expression::Not(inner) => Value::Bool(!truth(evaluate(inner, scope))?),
        Expression::Minus(inner) => match evaluate(inner, scope)? {
            Value::Integer(value) => Value::Integer(value.checked_neg().ok_or(CelError::Arithmetic)?),
            Value::Float(value) => Value::Float(-value),
            other => return Err(CelError::NoSuchOverload(format!("-{}", other.type_name()))),
        },
        // An error on one side does not matter when the other side decides.
        Expression::And(left, right) => match (truth(evaluate(left, scope)), right) {
            (Ok(false), _) => Value::Bool(false),
            (left, right) => match (left, truth(evaluate(right, scope))) {
                (_, Ok(false)) => Value::Bool(false),
                (left, right) => Value::Bool(left? && right?),
            },
        },
        Expression::Or(left, right) => match (truth(evaluate(left, scope)), right) {
            (Ok(true), _) => Value::Bool(true),
            (left, right) => match (left, truth(evaluate(right, scope))) {
                (_, Ok(true)) => Value::Bool(true),
                (left, right) => Value::Bool(left? || right?),
            },
        },
        Expression::If(parts) => {
            let [condition, yes, no] = parts.as_ref();
            evaluate(if truth(evaluate(condition, scope))? { yes } else { no }, scope)?
        }
        Expression::Binary(operator, left, right) => {
            binary(*operator, &evaluate(left, scope)?, &evaluate(right, scope)?)?
        }
        Expression::Matches(target, regex) => match evaluate(target, scope)? {
            Value::Text(text) => Value::Bool(regex.is_match(&text)),
            other => return Err(CelError::NoSuchOverload(format!("matches({})", other.type_name()))),
        },
        Expression::Each(quantifier, target, variable, body) => {
            each(*quantifier, &evaluate(target, scope)?, variable, body, scope)?
        }
        Expression::Call(function, arguments) => {
            let arguments: Result<Vec<_>, _> =
                arguments.iter().map(|argument| evaluate(argument, scope)).collect();
            function.call(&arguments?)?
        }
    })
}

fn truth(value: Outcome<'_>) -> Result<bool, CelError> {
    match value? {
        Value::Bool(value) => Ok(value),
        other => Err(CelError::NotBool(other.type_name())),
    }
}

fn lookup<'a>(target: &Value<'a>, name: &str) -> Result<Option<Value<'a>>, CelError> {
    match target {
        Value::Map(map) => Ok(map.get(name).map(Value::from_json)),
        other => Err(CelError::NoSuchOverload(format!("{}.{name}", other.type_name()))),
    }
}

fn binary<'a>(operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let number = |number: Option<i64>| number.map(Value::Integer).ok_or(CelError::Arithmetic);
    let no_overload =
        || CelError::NoSuchOverload(format!("{operator:?}({}, {})", left.type_name(), right.type_name()));
    let compare =
        |is: fn(Ordering) -> bool| Ok(Value::Bool(is(left.compare(right).ok_or_else(no_overload)?)));
    match (operator, left, right) {
        (Operator::Equal, ..) => Ok(Value::Bool(left.equals(right))),
        (Operator::NotEqual, ..) => Ok(Value::Bool(!left.equals(right))),
        (Operator::Less, ..) => compare(Ordering::is_lt),
        (Operator::LessOrEqual, ..) => compare(Ordering::is_le),
        (Operator::Greater, ..) => compare(Ordering::is_gt),
        (Operator::GreaterOrEqual, ..) => compare(Ordering::is_ge),
        (Operator::In, Value::Text(key), Value::Map(map)) => Ok(Value::Bool(map.contains_key(key.as_ref()))),
        (Operator::In, ..) => match right.items() {
            Some(items) => Ok(Value::Bool(items.iter().any(|item| item.equals(left)))),
            None => Err(no_overload()),
        },
        (Operator::Add, Value::Text(a), Value::Text(b)) => Ok(Value::Text(format!("{a}{b}").into())),
        (Operator::Add, Value::Integer(a), Value::Integer(b)) => number(a.checked_add(*b)),
        (Operator::Subtract, Value::Integer(a), Value::Integer(b)) => number(a.checked_sub(*b)),
        (Operator::Multiply, Value::Integer(a), Value::Integer(b)) => number(a.checked_mul(*b)),
        (Operator::Divide, Value::Integer(a), Value::Integer(b)) => number(a.checked_div(*b)),
        (Operator::Remainder, Value::Integer(a), Value::Integer(b)) => number(a.checked_rem(*b)),
        (Operator::Add, ..) => match (left.items(), right.items()) {
            (Some(a), Some(b)) => Ok(Value::List(a.into_iter().chain(b).collect())),
            _ => Err(no_overload()),
        },
        _ => Err(no_overload()),
    }
}

fn each<'a>(
    quantifier: Quantifier,
    target: &Value<'a>,
    variable: &str,
    body: &'a Expression,
    scope: &Scope<'a, '_>,
) -> Outcome<'a> {
    let members = match target {
        Value::Map(map) => map.keys().map(|key| Value::Text(key.as_str().into())).collect(),
        other => other
            .items()
            .ok_or_else(|| CelError::NoSuchOverload(format!("{quantifier:?}({})", other.type_name())))?,
    };
    let run = |member: &Value<'a>| {
        evaluate(body, &Scope { name: variable, value: member.clone(), outer: Some(scope) })
    };
    match quantifier {
        Quantifier::All | Quantifier::Exists => {
            let decides = matches!(quantifier, Quantifier::Exists);
            let mut failed = None;
            for member in &members {
                match truth(run(member)) {
                    Ok(value) if value == decides => return Ok(Value::Bool(decides)),
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(Value::Bool(!decides)), Err)
        }
        Quantifier::ExistsOne | Quantifier::Filter => {
            let mut found = Vec::new();
            for member in members {
                if truth(run(&member))? {
                    found.push(member);
                }
            }
            Ok(if matches!(quantifier, Quantifier::Filter) {
                Value::List(found)
            } else {
                Value::Bool(found.len() == 1)
            })
        }
        Quantifier::Map => Ok(Value::List(members.iter().map(run).collect::<Result<_, _>>()?)),
    }
}
