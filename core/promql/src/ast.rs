//! What a query means, once parsed and checked. Parentheses are gone, regexes are compiled,
//! functions are looked up, and every duration is in milliseconds.

use whyslow_model::matcher::Matcher;

use crate::functions::Function;

/// The four types of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One number a step.
    Scalar,
    /// A set of series with one number a step each.
    Vector,
    /// A set of series with a window of points a step each.
    Range,
    /// A text.
    Text,
}

impl Kind {
    /// The type's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Range => "range vector",
            Self::Text => "string",
        }
    }
}

/// One node of a query.
#[derive(Debug)]
pub(crate) enum Expr {
    Number(f64),
    Text(String),
    Instant(Selector),
    Range { selector: Selector, range_ms: i64 },
    Subquery { inner: Box<Self>, range_ms: i64, step_ms: Option<i64>, shift: Shift },
    Call { function: &'static Function, args: Vec<Self> },
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Self>),
}

impl Expr {
    /// The `offset` and `@` of what can have them.
    pub(crate) fn shift_mut(&mut self) -> Option<&mut Shift> {
        match self {
            Self::Instant(selector) | Self::Range { selector, .. } => Some(&mut selector.shift),
            Self::Subquery { shift, .. } => Some(shift),
            Self::Number(_)
            | Self::Text(_)
            | Self::Call { .. }
            | Self::Aggregate(_)
            | Self::Binary(_)
            | Self::Negate(_) => None,
        }
    }
}

/// Which series, and at which time instead of the step's.
#[derive(Debug, Default)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<At>,
}

/// The time an `@` pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// `@ start()`: the first step of the whole query.
    Start,
    /// `@ end()`: the last step of the whole query.
    End,
    /// `@ 1609746000`: milliseconds since the epoch.
    Ms(i64),
}

/// `sum by (a) (…)` and its kin.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) grouping: Grouping,
    pub(crate) param: Option<Expr>,
    pub(crate) inner: Expr,
}

/// Which labels tell groups apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Avg,
    BottomK,
    Count,
    CountValues,
    Group,
    LimitK,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    TopK,
}

impl AggregateOp {
    pub(crate) const ALL: [(&'static str, Self); 13] = [
        ("avg", Self::Avg),
        ("bottomk", Self::BottomK),
        ("count", Self::Count),
        ("count_values", Self::CountValues),
        ("group", Self::Group),
        ("limitk", Self::LimitK),
        ("max", Self::Max),
        ("min", Self::Min),
        ("quantile", Self::Quantile),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("sum", Self::Sum),
        ("topk", Self::TopK),
    ];

    pub(crate) fn named(word: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, op)| *op)
    }

    /// The type of the argument before the vector, where there is one.
    pub(crate) fn param(self) -> Option<Kind> {
        match self {
            Self::BottomK | Self::LimitK | Self::Quantile | Self::TopK => Some(Kind::Scalar),
            Self::CountValues => Some(Kind::Text),
            Self::Avg
            | Self::Count
            | Self::Group
            | Self::Max
            | Self::Min
            | Self::Stddev
            | Self::Stdvar
            | Self::Sum => None,
        }
    }
}

/// `a + on(x) group_left b` and its kin.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    pub(crate) left_kind: Kind,
    pub(crate) right_kind: Kind,
    /// `bool`: answer 0 or 1 instead of filtering.
    pub(crate) as_bool: bool,
    pub(crate) matching: Matching,
}

/// How the series of two vectors find each other.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    /// `on(labels)` where true, `ignoring(labels)` otherwise.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) many: Many,
    /// Labels taken over from the "one" side.
    pub(crate) include: Vec<String>,
}

/// On which side one partner may have many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Many {
    #[default]
    Neither,
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(crate) fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | GreaterEqual | Less | LessEqual)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// As written in a query.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}
