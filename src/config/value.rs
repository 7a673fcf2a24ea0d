//! A configuration value before anyone has judged it, and the rule for which types fit which key.

use std::fmt;

use toml::de::DeValue;

/// One value, as a file, the environment or a flag gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Value>),
    /// Something that no key takes (a table, a date, an integer past 64 bits), by its text.
    Unfit(String),
}

impl Value {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::String(text.clone().into_owned()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or_else(|_| Self::Unfit(digits.to_string()), Self::Integer),
            DeValue::Float(digits) => {
                digits.as_str().parse().map_or_else(|_| Self::Unfit(digits.to_string()), Self::Float)
            }
            DeValue::Boolean(truth) => Self::Boolean(*truth),
            DeValue::Datetime(date) => Self::Unfit(date.to_string()),
            DeValue::Array(items) => Self::List(items.iter().map(|item| Self::from_toml(item.get_ref())).collect()),
            DeValue::Table(_) => Self::Unfit("a table".to_owned()),
        }
    }

    /// Reads `text`, which has no type of its own, as whatever `like` is: a string stays one, even if it is `007`.
    pub(super) fn from_text(text: &str, like: &Self) -> Option<Self> {
        match like {
            Self::String(_) => Some(Self::String(text.to_owned())),
            Self::Integer(_) => text.parse().ok().map(Self::Integer),
            Self::Float(_) => text.parse().ok().map(Self::Float),
            Self::Boolean(_) => text.parse().ok().map(Self::Boolean),
            Self::List(_) | Self::Unfit(_) => None,
        }
    }

    /// This value if it is of `like`'s type; a whole number also does where a fraction may stand.
    pub(super) fn fit(self, like: &Self) -> Result<Self, Self> {
        match (self, like) {
            #[expect(clippy::cast_precision_loss, reason = "no key takes numbers near 2^53, and ranges come later")]
            (Self::Integer(number), Self::Float(_)) => Ok(Self::Float(number as f64)),
            (value @ Self::String(_), Self::String(_))
            | (value @ Self::Integer(_), Self::Integer(_))
            | (value @ Self::Float(_), Self::Float(_))
            | (value @ Self::Boolean(_), Self::Boolean(_))
            | (value @ Self::List(_), Self::List(_)) => Ok(value),
            (value, _) => Err(value),
        }
    }

    /// What a value of this type is called in an error.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Unfit(_) => "a value",
        }
    }
}

/// As it would be written in the file, so that `"1"` and `1` differ in an error too.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(&quoted(text)),
            Self::Integer(number) => write!(f, "{number}"),
            // Debug keeps the ".0" that makes it a float.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Unfit(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// `text` as a TOML string on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_by_the_type_of_the_default() {
        let string = || Value::String(String::new());
        for (text, like, want) in [
            ("007", string(), Some(Value::String("007".into()))),
            ("true", string(), Some(Value::String("true".into()))),
            ("", string(), Some(string())),
            ("007", Value::Integer(0), Some(Value::Integer(7))),
            ("7.5", Value::Integer(0), None),
            (" 7", Value::Integer(0), None),
            ("7", Value::Float(0.0), Some(Value::Float(7.0))),
            ("true", Value::Boolean(false), Some(Value::Boolean(true))),
            ("yes", Value::Boolean(false), None),
            ("[1]", Value::List(vec![]), None),
        ] {
            assert_eq!(Value::from_text(text, &like), want, "{text:?} as {}", like.type_name());
        }
    }

    #[test]
    fn values_are_shown_as_they_are_written() {
        let list = Value::List(vec![Value::Float(0.0), Value::String("a\"b\n".into()), Value::Integer(-1)]);
        assert_eq!(list.to_string(), r#"[0.0, "a\"b\u000A", -1]"#);
    }
}
