//! Instructions of classic BPF and the places jumps go to.
//!
//! A conditional jump reaches 255 instructions, an unconditional one any: so a test is written as
//! "if not, step over the jump", and programs of any length hold together.

/// One instruction, as `struct sock_filter` of `linux/filter.h` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// Instructions to step over if a test holds.
    pub jt: u8,
    /// Instructions to step over if it does not.
    pub jf: u8,
    /// Its number: a constant, an offset, instructions to step over.
    pub k: u32,
}

/// Loads, relative to X unless absolute. Codes are those of `linux/bpf_common.h`.
pub(super) const LOAD: u16 = 0x00;
pub(super) const LOAD_X: u16 = 0x01;
pub(super) const LOAD_HALF_AT: u16 = 0x28;
pub(super) const LOAD_WORD: u16 = 0x40;
pub(super) const LOAD_HALF: u16 = 0x48;
pub(super) const LOAD_BYTE: u16 = 0x50;
pub(super) const AND: u16 = 0x54;
pub(super) const SHIFT_LEFT: u16 = 0x64;
pub(super) const ADD_X: u16 = 0x0c;
pub(super) const MOVE_TO_X: u16 = 0x07;
pub(super) const JUMP: u16 = 0x05;
pub(super) const IF_EQUAL: u16 = 0x15;
pub(super) const IF_ANY: u16 = 0x45;
pub(super) const ANSWER: u16 = 0x06;

/// A place in a program, before it is known where that is. Only ever ahead: BPF has no way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Program {
    instructions: Vec<Instruction>,
    /// Where each label is.
    places: Vec<usize>,
    /// Jumps and the labels they go to.
    jumps: Vec<(usize, Label)>,
}

impl Program {
    /// A place that is still to come.
    pub(super) fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    /// The place is here.
    pub(super) fn place(&mut self, label: Label) {
        self.places[label.0] = self.instructions.len();
    }

    pub(super) fn load(&mut self, number: u32) {
        self.put(LOAD, 0, 0, number);
    }

    pub(super) fn load_x(&mut self, number: u32) {
        self.put(LOAD_X, 0, 0, number);
    }

    pub(super) fn load_half_at(&mut self, offset: u32) {
        self.put(LOAD_HALF_AT, 0, 0, offset);
    }

    pub(super) fn load_word(&mut self, offset: u32) {
        self.put(LOAD_WORD, 0, 0, offset);
    }

    pub(super) fn load_half(&mut self, offset: u32) {
        self.put(LOAD_HALF, 0, 0, offset);
    }

    pub(super) fn load_byte(&mut self, offset: u32) {
        self.put(LOAD_BYTE, 0, 0, offset);
    }

    pub(super) fn and(&mut self, mask: u32) {
        self.put(AND, 0, 0, mask);
    }

    pub(super) fn shift_left(&mut self, bits: u32) {
        self.put(SHIFT_LEFT, 0, 0, bits);
    }

    pub(super) fn add_x(&mut self) {
        self.put(ADD_X, 0, 0, 0);
    }

    pub(super) fn move_to_x(&mut self) {
        self.put(MOVE_TO_X, 0, 0, 0);
    }

    pub(super) fn answer(&mut self, bytes: u32) {
        self.put(ANSWER, 0, 0, bytes);
    }

    pub(super) fn if_equal(&mut self, number: u32, to: Label) {
        self.put(IF_EQUAL, 0, 1, number);
        self.jump(to);
    }

    pub(super) fn unless_equal(&mut self, number: u32, to: Label) {
        self.put(IF_EQUAL, 1, 0, number);
        self.jump(to);
    }

    /// If any of the bits is set.
    pub(super) fn if_any(&mut self, bits: u32, to: Label) {
        self.put(IF_ANY, 0, 1, bits);
        self.jump(to);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.put(JUMP, 0, 0, 0);
    }

    /// The program, its jumps filled in.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in &self.jumps {
            let over = self.places[label.0].saturating_sub(at + 1);
            self.instructions[*at].k = u32::try_from(over).unwrap_or(u32::MAX);
        }
        self.instructions
    }

    fn put(&mut self, code: u16, jt: u8, jf: u8, k: u32) {
        self.instructions.push(Instruction { code, jt, jf, k });
    }
}
