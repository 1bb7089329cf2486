//! Functions of CEL and of Kubernetes' libraries.

use super::error::CelError;
use super::quantity::Quantity;
use super::regex::regex;
use super::value::Value;

/// A supported function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    Size,
    Text,
    Integer,
    Double,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    IndexOf,
    LastIndexOf,
    Trim,
    LowerAscii,
    UpperAscii,
    Split,
    Join,
    Substring,
    Quantity,
    IsQuantity,
    CompareTo,
    IsGreaterThan,
    IsLessThan,
}

impl Function {
    /// The function of this name with this number of arguments, its target among them.
    pub(super) fn named(name: &str, arguments: usize, is_method: bool) -> Result<Self, CelError> {
        Ok(match (name, arguments, is_method) {
            ("size", 1, _) => Self::Size,
            ("string", 1, false) => Self::Text,
            ("int", 1, false) => Self::Integer,
            ("double", 1, false) => Self::Double,
            ("contains", 2, true) => Self::Contains,
            ("startsWith", 2, true) => Self::StartsWith,
            ("endsWith", 2, true) => Self::EndsWith,
            ("matches", 2, true) => Self::Matches,
            ("indexOf", 2, true) => Self::IndexOf,
            ("lastIndexOf", 2, true) => Self::LastIndexOf,
            ("trim", 1, true) => Self::Trim,
            ("lowerAscii", 1, true) => Self::LowerAscii,
            ("upperAscii", 1, true) => Self::UpperAscii,
            ("split", 2, true) => Self::Split,
            ("join", 1 | 2, true) => Self::Join,
            ("substring", 2 | 3, true) => Self::Substring,
            ("quantity", 1, false) => Self::Quantity,
            ("isQuantity", 1, false) => Self::IsQuantity,
            ("compareTo", 2, true) => Self::CompareTo,
            ("isGreaterThan", 2, true) => Self::IsGreaterThan,
            ("isLessThan", 2, true) => Self::IsLessThan,
            _ => return Err(CelError::UnknownFunction { name: name.to_owned(), arguments }),
        })
    }

    /// Calls it.
    pub(super) fn call<'a>(self, arguments: &[Value<'a>]) -> Result<Value<'a>, CelError> {
        match arguments {
            [Value::Text(text)] => self.of_text(text),
            [Value::Text(text), Value::Text(other)] => self.of_texts(text, other),
            [Value::Text(text), Value::Integer(from)] => substring(text, *from, None),
            [Value::Text(text), Value::Integer(from), Value::Integer(to)] => {
                substring(text, *from, Some(*to))
            }
            [Value::Quantity(a), Value::Quantity(b)] => match self {
                Self::CompareTo => Ok(Value::Integer(i64::from(a.cmp(b) as i8))),
                Self::IsGreaterThan => Ok(Value::Bool(a > b)),
                Self::IsLessThan => Ok(Value::Bool(a < b)),
                _ => self.unknown(arguments),
            },
            [one] => self.of_one(one).map_or_else(|| self.unknown(arguments), Ok),
            [list, Value::Text(separator)] if matches!(self, Self::Join) => {
                join(list, separator).map_or_else(|| self.unknown(arguments), Ok)
            }
            _ => self.unknown(arguments),
        }
    }

    fn unknown<'a>(self, arguments: &[Value<'_>]) -> Result<Value<'a>, CelError> {
        let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
        Err(CelError::NoSuchOverload(format!("{self:?}({})", types.join(", "))))
    }

    fn of_one<'a>(self, one: &Value<'a>) -> Option<Value<'a>> {
        Some(match (self, one) {
            (Self::Size, Value::Map(map)) => Value::Integer(i64::try_from(map.len()).ok()?),
            (Self::Size, list) => Value::Integer(i64::try_from(list.items()?.len()).ok()?),
            (Self::Join, list) => join(list, "")?,
            (Self::Text, Value::Integer(value)) => Value::Text(value.to_string().into()),
            (Self::Text, Value::Float(value)) => Value::Text(value.to_string().into()),
            (Self::Text, Value::Bool(value)) => Value::Text(value.to_string().into()),
            (Self::Integer, Value::Integer(value)) => Value::Integer(*value),
            (Self::Double, Value::Float(value)) => Value::Float(*value),
            _ => return None,
        })
    }

    fn of_text<'a>(self, text: &str) -> Result<Value<'a>, CelError> {
        let invalid = |type_name| CelError::Conversion { text: text.to_owned(), type_name };
        Ok(match self {
            Self::Size => Value::Integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
            Self::Text => Value::Text(text.to_owned().into()),
            Self::Integer => Value::Integer(text.parse().map_err(|_| invalid("int"))?),
            Self::Double => Value::Float(text.parse().map_err(|_| invalid("double"))?),
            Self::Trim => Value::Text(text.trim().to_owned().into()),
            Self::LowerAscii => Value::Text(text.to_ascii_lowercase().into()),
            Self::UpperAscii => Value::Text(text.to_ascii_uppercase().into()),
            Self::IsQuantity => Value::Bool(Quantity::parse(text).is_some()),
            Self::Quantity => Value::Quantity(Quantity::parse(text).ok_or_else(|| invalid("quantity"))?),
            _ => return self.unknown(&[Value::Null]),
        })
    }

    fn of_texts<'a>(self, text: &str, other: &str) -> Result<Value<'a>, CelError> {
        let index = |byte: Option<usize>| {
            let characters = byte.and_then(|byte| text.get(..byte)).map(|before| before.chars().count());
            Value::Integer(characters.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1))
        };
        Ok(match self {
            Self::Contains => Value::Bool(text.contains(other)),
            Self::StartsWith => Value::Bool(text.starts_with(other)),
            Self::EndsWith => Value::Bool(text.ends_with(other)),
            Self::Matches => Value::Bool(regex(other)?.is_match(text)),
            Self::IndexOf => index(text.find(other)),
            Self::LastIndexOf => index(text.rfind(other)),
            Self::Split => {
                let parts: Vec<_> = if other.is_empty() {
                    text.chars().map(String::from).collect()
                } else {
                    text.split(other).map(ToOwned::to_owned).collect()
                };
                Value::List(parts.into_iter().map(|part| Value::Text(part.into())).collect())
            }
            _ => return self.unknown(&[Value::Null, Value::Null]),
        })
    }
}

fn join<'a>(list: &Value<'a>, separator: &str) -> Option<Value<'a>> {
    let texts: Option<Vec<_>> = list
        .items()?
        .into_iter()
        .map(|item| if let Value::Text(text) = item { Some(text.into_owned()) } else { None })
        .collect();
    Some(Value::Text(texts?.join(separator).into()))
}

fn substring<'a>(text: &str, from: i64, to: Option<i64>) -> Result<Value<'a>, CelError> {
    let length = text.chars().count();
    let to = to.map_or(Ok(length), usize::try_from);
    match (usize::try_from(from), to) {
        (Ok(from), Ok(to)) if from <= to && to <= length => {
            Ok(Value::Text(text.chars().skip(from).take(to - from).collect::<String>().into()))
        }
        _ => Err(CelError::OutOfRange),
    }
}
