//! What a function is called with, each argument at its parameter.

use regex::Regex;
use whyslow_model::limits::GRAPHITE_NODES_MAX;

use crate::attime;
use crate::consolidate::Reduction;
use crate::error::RenderError;
use crate::functions::Function;
use crate::render::{Evaluation, Window};
use crate::series::Series;
use crate::target::{Argument, Expression};

/// One call of one function.
pub(crate) struct Call<'c, 'e> {
    evaluation: &'c mut Evaluation<'e>,
    function: &'static Function,
    /// By parameter; the last one may hold several.
    given: Vec<Vec<&'c Expression>>,
    /// The stretch of time the answer is for.
    pub(crate) window: Window,
}

/// A node by its number, or a tag by its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeOrTag {
    Node(i64),
    Tag(String),
}

impl<'c, 'e> Call<'c, 'e> {
    /// Puts each argument at its parameter.
    pub(crate) fn new(
        evaluation: &'c mut Evaluation<'e>,
        function: &'static Function,
        arguments: &'c [Argument],
        window: Window,
    ) -> Result<Self, RenderError> {
        let bad = |what| RenderError::BadCall { function: function.name, what };
        let parameters = function.parameters;
        let mut given: Vec<Vec<&Expression>> = vec![Vec::new(); parameters.len()];
        for (i, argument) in arguments.iter().enumerate() {
            let place = match &argument.name {
                Some(name) => parameters
                    .iter()
                    .position(|p| p.name == name)
                    .ok_or_else(|| bad(format!("it has no parameter {name:?}")))?,
                None => i.min(parameters.len() - 1),
            };
            if !given[place].is_empty() && !parameters[place].multiple {
                return Err(bad(format!("it takes {} arguments at most", parameters.len())));
            }
            given[place].push(&argument.value);
        }
        for (parameter, given) in parameters.iter().zip(&given) {
            if parameter.required && given.is_empty() {
                return Err(bad(format!("{} is missing", parameter.name)));
            }
        }
        Ok(Self { evaluation, function, given, window })
    }

    /// An error of this call.
    pub(crate) fn bad(&self, what: impl Into<String>) -> RenderError {
        RenderError::BadCall { function: self.function.name, what: what.into() }
    }

    /// Takes room for points about to be laid out.
    pub(crate) fn charge(&mut self, points: usize) -> Result<(), RenderError> {
        self.evaluation.charge(points)
    }

    /// Whether an argument is given, `None` counting as not.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.given[place].first().is_some_and(|e| **e != Expression::Nothing)
    }

    /// All series of all expressions at a parameter.
    pub(crate) fn series(&mut self, place: usize) -> Result<Vec<Series>, RenderError> {
        self.series_within(place, self.window)
    }

    /// The series at a parameter, of another stretch of time.
    pub(crate) fn series_within(
        &mut self,
        place: usize,
        window: Window,
    ) -> Result<Vec<Series>, RenderError> {
        self.series_as(place, window, Reduction::Average)
    }

    /// The series at a parameter, their roll-ups chosen for this reduction.
    pub(crate) fn series_as(
        &mut self,
        place: usize,
        window: Window,
        reduction: Reduction,
    ) -> Result<Vec<Series>, RenderError> {
        let mut all = Vec::new();
        for expression in self.given[place].clone() {
            all.append(&mut self.evaluation.series(expression, window, reduction)?);
        }
        let points = all.iter().map(|s| s.values.len()).sum();
        // What the function makes of them takes as much again.
        self.charge(points)?;
        Ok(all)
    }

    /// Whether a number, and not series, is given.
    pub(crate) fn as_number(&self, place: usize) -> Option<f64> {
        match self.given[place].first()? {
            Expression::Number(number) => Some(*number),
            Expression::Text(text) => text.parse().ok(),
            Expression::Path(_)
            | Expression::Boolean(_)
            | Expression::Nothing
            | Expression::Call { .. } => None,
        }
    }

    /// A number, if given.
    pub(crate) fn number(&self, place: usize) -> Result<Option<f64>, RenderError> {
        if !self.has(place) {
            return Ok(None);
        }
        let name = self.function.parameters[place].name;
        let wrong = || self.bad(format!("{name} must be a number"));
        self.as_number(place).filter(|n| !n.is_nan()).ok_or_else(wrong).map(Some)
    }

    /// A number that must be given.
    pub(crate) fn needed_number(&self, place: usize) -> Result<f64, RenderError> {
        self.number(place)?.ok_or_else(|| self.missing(place))
    }

    /// How many of something.
    pub(crate) fn count(&self, place: usize, default: usize) -> Result<usize, RenderError> {
        let Some(number) = self.number(place)? else { return Ok(default) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count; the cast saturates"
        )]
        Ok(number.max(0.0) as usize)
    }

    /// Yes or no.
    pub(crate) fn is_true(&self, place: usize) -> bool {
        match self.given[place].first() {
            Some(Expression::Boolean(is)) => *is,
            Some(Expression::Text(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// A text, if given.
    pub(crate) fn text(&self, place: usize) -> Result<Option<&'c str>, RenderError> {
        match self.given[place].first() {
            None | Some(Expression::Nothing) => Ok(None),
            Some(Expression::Text(text)) => Ok(Some(text)),
            Some(_) => {
                let name = self.function.parameters[place].name;
                Err(self.bad(format!("{name} must be a text in quotes")))
            }
        }
    }

    /// A text that must be given.
    pub(crate) fn needed_text(&self, place: usize) -> Result<&'c str, RenderError> {
        self.text(place)?.ok_or_else(|| self.missing(place))
    }

    /// A regular expression that must be given.
    pub(crate) fn pattern(&self, place: usize) -> Result<Regex, RenderError> {
        let text = self.needed_text(place)?;
        Regex::new(text).map_err(|e| {
            let words = e.to_string();
            let last = words.lines().last().unwrap_or_default();
            self.bad(format!("{text:?} is no regular expression: {last}"))
        })
    }

    /// A length of time in seconds, which may be negative.
    pub(crate) fn interval(&self, place: usize) -> Result<i64, RenderError> {
        let text = self.needed_text(place)?;
        attime::seconds(text).ok_or_else(|| self.bad(format!("{text:?} is no length of time")))
    }

    /// How many values become one.
    pub(crate) fn reduction(
        &self,
        place: usize,
        default: Reduction,
    ) -> Result<(String, Reduction), RenderError> {
        let Some(text) = self.text(place)? else {
            let name = Reduction::NAMES.iter().find(|(_, r)| *r == default).map_or("", |n| n.0);
            return Ok((name.to_owned(), default));
        };
        let reduction = text.parse();
        let reduction =
            reduction.map_err(|()| self.bad(format!("{text:?} is no aggregation function")))?;
        Ok((text.to_owned(), reduction))
    }

    /// Nodes and tags.
    pub(crate) fn nodes(&self, place: usize) -> Result<Vec<NodeOrTag>, RenderError> {
        let node = |e: &&Expression| match e {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            Expression::Number(n) if n.fract() == 0.0 && n.abs() < 1e6 => {
                Ok(NodeOrTag::Node(*n as i64))
            }
            Expression::Text(text) => Ok(NodeOrTag::Tag(text.clone())),
            Expression::Path(_)
            | Expression::Number(_)
            | Expression::Boolean(_)
            | Expression::Nothing
            | Expression::Call { .. } => Err(self.bad("a node is a whole number, a tag a text")),
        };
        // Each makes a name longer.
        if self.given[place].len() > GRAPHITE_NODES_MAX {
            return Err(RenderError::Limit { what: "nodes", limit: GRAPHITE_NODES_MAX });
        }
        self.given[place].iter().map(node).collect()
    }

    fn missing(&self, place: usize) -> RenderError {
        self.bad(format!("{} is missing", self.function.parameters[place].name))
    }
}
