//! Pipelines, commands and operands.

use super::super::ast::{Called, Chain, Command, Literal, Operand, Path, Pipe, Quoted};
use super::super::lexer::{Kind, Token};
use super::super::literal;
use super::tokens::{Parsed, Parser};

/// The text of a token that the lexer let through as a word or number.
fn text_of(token: &Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}

/// The name of a field token, without its dot.
fn field_of(token: &Token<'_>) -> String {
    let text = text_of(token);
    text.strip_prefix('.').map(str::to_owned).unwrap_or(text)
}

impl<'a> Parser<'_, 'a> {
    /// Commands up to the token `end`.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, assigns: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        // There are thousands of pipelines, nearly all of one command, and a vector begins with room for four.
        pipe.commands.shrink_to_fit();
        self.check(&pipe, context)?;
        Ok(pipe)
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            let constant = matches!(
                command.first,
                Operand::Bool(_) | Operand::Dot(_) | Operand::Nil(_) | Operand::Number(_) | Operand::String(_)
            );
            if constant {
                return self.error(format!("non executable command in pipeline stage {}", i + 1));
            }
        }
        Ok(())
    }

    /// `$a :=`, `$a =`, `$a, $b :=`
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.next();
            let after = self.peek();
            let next = self.peek_non_space();
            let comma = next.kind == Kind::Char && next.text == b",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                // A mere operand. A blank after it counts, as it separates operands.
                if after.kind == Kind::Space {
                    self.backup3(variable, after);
                } else {
                    self.backup2(variable);
                }
                return Ok(());
            }
            self.next_non_space();
            self.take(1)?;
            pipe.variables.push(text_of(&variable));
            self.variables.push(text_of(&variable));
            if !comma {
                pipe.assigns = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() >= 2 {
                return self.error(format!("too many declarations in {context}"));
            }
            if !matches!(self.peek_non_space().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return self.error("range can only initialize variables");
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let pos = self.peek_non_space().pos;
        let mut operands = Vec::new();
        loop {
            self.peek_non_space();
            operands.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if operands.is_empty() {
            return self.error("empty command");
        }
        let arguments = operands.split_off(1);
        match operands.pop() {
            Some(first) => Ok(Command { pos, first, arguments }),
            None => self.error("empty command"),
        }
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let mut token = self.peek();
        if token.kind != Kind::Field {
            return Ok(Some(term));
        }
        // Go places the whole chain at its second part.
        let pos = token.pos;
        let mut names = Vec::new();
        while token.kind == Kind::Field {
            self.take(1)?;
            names.push(field_of(&token));
            self.next();
            token = self.peek();
        }
        Ok(Some(match term {
            Operand::Field(Path { names: mut path, .. }) => {
                path.reserve_exact(names.len());
                path.append(&mut names);
                Operand::Field(Path { pos, names: path })
            }
            Operand::Variable(Path { names: mut path, .. }) => {
                path.reserve_exact(names.len());
                path.append(&mut names);
                Operand::Variable(Path { pos, names: path })
            }
            Operand::Function(_) | Operand::Pipe(_) | Operand::Chain(_) => {
                Operand::Chain(Box::new(Chain { pos, base: term, names }))
            }
            constant => {
                let text = super::super::format::quote(constant.to_string().as_bytes());
                return self.error(format!("unexpected . after term {}", String::from_utf8_lossy(&text)));
            }
        }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        self.take(1)?;
        let token = self.next_non_space();
        let pos = token.pos;
        Ok(Some(match token.kind {
            Kind::Identifier => self.function(&token)?,
            Kind::Dot => Operand::Dot(Literal { pos, value: () }),
            Kind::Nil => Operand::Nil(Literal { pos, value: () }),
            Kind::Variable => {
                let name = text_of(&token);
                // All that are visible are looked through.
                self.take(self.variables.len() / 64)?;
                if !self.variables.contains(&name) {
                    return self.error(format!("undefined variable \"{name}\""));
                }
                Operand::Variable(Path { pos, names: vec![name] })
            }
            Kind::Field => Operand::Field(Path { pos, names: vec![field_of(&token)] }),
            Kind::Bool => Operand::Bool(Literal { pos, value: token.text == b"true" }),
            Kind::CharConstant | Kind::Number | Kind::Complex => {
                let text = text_of(&token);
                let number = match token.kind {
                    Kind::CharConstant => literal::character(&text),
                    Kind::Number => literal::number(&text),
                    _ => Ok(literal::complex(&text)),
                };
                match number {
                    Ok(value) => Operand::Number(Box::new(Literal { pos, value })),
                    Err(message) => return self.error(message),
                }
            }
            Kind::LeftParen => {
                let pipe = self.nested(|p| p.pipeline("parenthesized pipeline", Kind::RightParen))?;
                Operand::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => match literal::string(token.text) {
                Some(text) => {
                    Operand::String(Literal { pos, value: Quoted { source: text_of(&token), text: text.into() } })
                }
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        }))
    }

    fn function(&self, token: &Token<'a>) -> Parsed<Operand> {
        let name = text_of(token);
        match (self.shared.functions)(&name) {
            Some(id) => Ok(Operand::Function(Box::new(Called { pos: token.pos, name, id }))),
            None => self.error(format!("function \"{name}\" not defined")),
        }
    }
}
