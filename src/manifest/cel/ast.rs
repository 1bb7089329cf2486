//! The syntax tree of an expression, with macros and constant regular expressions resolved.

use regex::Regex;

use super::call::Function;

/// An expression.
#[derive(Debug)]
pub(super) enum Expression {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Expression>),
    Name(String),
    Field(Box<Expression>, String),
    Has(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Minus(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    If(Box<[Expression; 3]>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Matches(Box<Expression>, Regex),
    /// A macro over the members of a list or the keys of a map.
    Each(Quantifier, Box<Expression>, String, Box<Expression>),
    Call(Function, Vec<Expression>),
}

/// A macro with a variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// An operator with two operands that are both evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}
