//! Tokens of CEL into an expression, with macros and constant regular expressions resolved.

use super::ast::{Expression, Operator, Quantifier};
use super::call::Function;
use super::error::CelError;
use super::lex::Token;
use super::regex::regex;

/// In order of precedence, the lowest first.
const OPERATORS: [&[(&str, Operator)]; 3] = [
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

/// The whole of `tokens` as one expression.
pub(super) fn parse(tokens: &[Token]) -> Result<Expression, CelError> {
    let mut parser = Parser { rest: tokens };
    let expression = parser.choice()?;
    match parser.rest.first() {
        None => Ok(expression),
        Some(token) => Err(CelError::syntax(format!("unexpected {token:?}"))),
    }
}

struct Parser<'a> {
    rest: &'a [Token],
}

impl Parser<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        let is_there = match self.rest.first() {
            Some(Token::Sign(there)) => *there == sign,
            Some(Token::Name(name)) => sign == "in" && name == "in",
            _ => false,
        };
        if is_there {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is_there
    }

    fn needs(&mut self, sign: &str) -> Result<(), CelError> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(CelError::syntax(format!("expected '{sign}', found {:?}", self.rest.first())))
        }
    }

    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    fn choice(&mut self) -> Result<Expression, CelError> {
        let condition = self.or()?;
        if !self.takes("?") {
            return Ok(condition);
        }
        let yes = self.or()?;
        self.needs(":")?;
        let no = self.choice()?;
        Ok(Expression::If(Box::new([condition, yes, no])))
    }

    fn or(&mut self) -> Result<Expression, CelError> {
        let mut left = self.and()?;
        while self.takes("||") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, CelError> {
        let mut left = self.binary(0)?;
        while self.takes("&&") {
            left = Expression::And(Box::new(left), Box::new(self.binary(0)?));
        }
        Ok(left)
    }

    fn binary(&mut self, level: usize) -> Result<Expression, CelError> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.takes(sign)) {
            left = Expression::Binary(*operator, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, CelError> {
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.unary()?)));
        }
        if self.takes("-") {
            return Ok(Expression::Minus(Box::new(self.unary()?)));
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expression, CelError> {
        let mut target = self.primary()?;
        loop {
            if self.takes(".") {
                let Some(Token::Name(name)) = self.next() else {
                    return Err(CelError::syntax("expected a name"));
                };
                target = if self.takes("(") { self.method(target, &name)? } else { field(target, name) };
            } else if self.takes("[") {
                let index = self.choice()?;
                self.needs("]")?;
                target = Expression::Index(Box::new(target), Box::new(index));
            } else {
                return Ok(target);
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, CelError> {
        Ok(match self.next() {
            Some(Token::Integer(value)) => Expression::Integer(value),
            Some(Token::Float(value)) => Expression::Float(value),
            Some(Token::Text(value)) => Expression::Text(value),
            Some(Token::Sign("(")) => {
                let inner = self.choice()?;
                self.needs(")")?;
                inner
            }
            Some(Token::Sign("[")) => Expression::List(self.until("]")?),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Expression::Bool(true),
                "false" => Expression::Bool(false),
                "null" => Expression::Null,
                _ if self.takes("(") => self.function(&name)?,
                _ => Expression::Name(name),
            },
            other => return Err(CelError::syntax(format!("expected a value, found {other:?}"))),
        })
    }

    fn until(&mut self, end: &str) -> Result<Vec<Expression>, CelError> {
        let mut members = Vec::new();
        while !self.takes(end) {
            if !members.is_empty() {
                self.needs(",")?;
            }
            members.push(self.choice()?);
        }
        Ok(members)
    }

    fn function(&mut self, name: &str) -> Result<Expression, CelError> {
        let mut arguments = self.until(")")?;
        if name == "has" {
            return match arguments.pop() {
                Some(Expression::Field(target, field)) if arguments.is_empty() => {
                    Ok(Expression::Has(target, field))
                }
                _ => Err(CelError::syntax("has() takes a field")),
            };
        }
        Function::named(name, arguments.len(), false).map(|function| Expression::Call(function, arguments))
    }

    fn method(&mut self, target: Expression, name: &str) -> Result<Expression, CelError> {
        let mut arguments = self.until(")")?;
        let quantifier = match name {
            "all" => Some(Quantifier::All),
            "exists" => Some(Quantifier::Exists),
            "exists_one" => Some(Quantifier::ExistsOne),
            "filter" => Some(Quantifier::Filter),
            "map" => Some(Quantifier::Map),
            _ => None,
        };
        if let Some(quantifier) = quantifier {
            return match (arguments.pop(), arguments.pop(), arguments.is_empty()) {
                (Some(body), Some(Expression::Name(variable)), true) => {
                    Ok(Expression::Each(quantifier, Box::new(target), variable, Box::new(body)))
                }
                _ => Err(CelError::syntax(format!("{name}() takes a variable and an expression"))),
            };
        }
        if name == "matches"
            && let [Expression::Text(pattern)] = arguments.as_slice()
        {
            return Ok(Expression::Matches(Box::new(target), regex(pattern)?));
        }
        arguments.insert(0, target);
        Function::named(name, arguments.len(), true).map(|function| Expression::Call(function, arguments))
    }
}

fn field(target: Expression, name: String) -> Expression {
    Expression::Field(Box::new(target), name)
}
