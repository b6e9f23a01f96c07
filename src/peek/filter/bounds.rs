//! What a filter may cost: nothing in it takes more time than in proportion to the message, and nothing goes deep.

use cel::{
    Program,
    common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, operators},
};

use super::FilterError;

/// How deep brackets may go: each takes room on the stack of whoever reads them.
const BRACKETS_MOST: usize = 16;

/// Choices (`a ? b : c`) in a filter, which go as deep as there are of them.
const CHOICES_MOST: usize = 8;

/// How deep loops may lie in each other.
const LOOPS_MOST: usize = 3;

/// What may be called. What makes lists or long texts is missing, and `matches`: a pattern takes longer to read than most messages.
const FUNCTIONS: [&str; 7] = ["contains", "startsWith", "endsWith", "size", "int", "double", "string"];

/// What stands between values.
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

/// Before it is read: how long it is, and how deep it goes.
pub(super) fn of_text(text: &str, most: usize) -> Result<(), FilterError> {
    let (mut depth, mut choices) = (0_usize, 0);
    for (place, letter) in text.chars().enumerate() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => choices += 1,
            _ => {}
        }
        let at = place + 1;
        if at > most {
            return Err(wrong(at, format!("it is longer than {most} letters")));
        }
        if depth > BRACKETS_MOST {
            return Err(wrong(at, format!("brackets go deeper than {BRACKETS_MOST}")));
        }
        if choices > CHOICES_MOST {
            return Err(wrong(at, format!("it has more than {CHOICES_MOST} choices")));
        }
    }
    Ok(())
}

/// Once it is read: what it names, what it calls, and what its loops look at.
pub(super) fn of_program(program: &Program, names: &[&str]) -> Result<(), FilterError> {
    Walk { program, loops: 0, names, at: 0 }.expression(program.expression())
}

fn wrong(at: usize, why: String) -> FilterError {
    FilterError { at, why }
}

/// A part of a filter, and what it may name.
struct Walk<'a> {
    program: &'a Program,
    /// How many loops it is in.
    loops: usize,
    names: &'a [&'a str],
    /// Where the nearest part around it stands that stands somewhere.
    at: usize,
}

impl Walk<'_> {
    fn expression(&self, part: &IdedExpr) -> Result<(), FilterError> {
        let here = Walk { at: self.place(part), ..*self };
        match &part.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => here.name(name),
            Expr::List(list) => list.elements.iter().try_for_each(|one| here.expression(one)),
            Expr::Select(select) => here.expression(&select.operand),
            Expr::Call(call) => here.call(call),
            Expr::Comprehension(made) => here.each(made),
            Expr::Unspecified | Expr::Map(_) | Expr::Struct(_) => {
                Err(here.wrong("subject, headers and body are asked, and nothing is made".to_owned()))
            }
        }
    }

    /// At which letter a part stands.
    fn place(&self, part: &IdedExpr) -> usize {
        let offset = self.program.source_info().offset_for(part.id);
        offset.and_then(|(start, _)| usize::try_from(start).ok()).map_or(self.at, |start| start + 1)
    }

    fn wrong(&self, why: String) -> FilterError {
        wrong(self.at.max(1), why)
    }

    fn name(&self, name: &str) -> Result<(), FilterError> {
        if self.names.contains(&name) {
            return Ok(());
        }
        let known: Vec<&str> = self.names.iter().copied().filter(|name| !name.starts_with('@')).collect();
        Err(self.wrong(match (self.loops, known.split_last()) {
            (0, Some((last, others))) => {
                format!("`{name}` is not known: there are {} and {last}", others.join(", "))
            }
            _ => format!("`{name}` is not known within a loop: there is {}", known.join(", ")),
        }))
    }

    fn call(&self, call: &CallExpr) -> Result<(), FilterError> {
        let name = call.func_name.as_str();
        let is_own = name.starts_with('@') && self.loops > 0;
        if !(is_own || OPERATORS.contains(&name) || FUNCTIONS.contains(&name)) {
            return Err(self.wrong(format!("`{name}` is not known: there are {}", FUNCTIONS.join(", "))));
        }
        call.target.iter().try_for_each(|target| self.expression(target))?;
        call.args.iter().try_for_each(|one| self.expression(one))
    }

    /// A loop. Within it stands its own variable alone, and a loop within it goes through what that holds: each value is looked at as often
    /// as the text names it, however loops lie in each other.
    fn each(&self, made: &ComprehensionExpr) -> Result<(), FilterError> {
        if matches!(made.accu_init.expr, Expr::List(_)) {
            return Err(self.wrong("map and filter make lists: ask by exists, exists_one or all".to_owned()));
        }
        if self.loops >= LOOPS_MOST {
            return Err(self.wrong(format!("loops lie deeper than {LOOPS_MOST} in each other")));
        }
        if self.loops > 0 && !is_path(&made.iter_range) {
            return Err(Walk { at: self.place(&made.iter_range), ..*self }
                .wrong("a loop within another goes through what that one is at".to_owned()));
        }
        self.expression(&made.iter_range)?;
        let mut names = vec![made.iter_var.as_str(), made.accu_var.as_str()];
        names.extend(made.iter_var2.as_deref());
        let within = Walk { loops: self.loops + 1, names: &names, ..*self };
        [&made.accu_init, &made.loop_cond, &made.loop_step, &made.result]
            .into_iter()
            .try_for_each(|part| within.expression(part))
    }
}

/// Whether this is a name, or something within what it names.
fn is_path(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => is_path(&select.operand),
        _ => false,
    }
}
