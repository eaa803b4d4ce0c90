//! What clients asked and heard, and what one honest value would have answered.

use std::sync::Arc;

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// What a client wants of the one key there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// A session, before anything else. It changes nothing that another client could see.
    Open,
    /// Add this to the end.
    Append(char),
    /// What is there?
    Get,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ret {
    Opened(u64),
    Done,
    Value(String),
}

/// The value, if one machine kept it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Honest(String);

impl SequentialSpec for Honest {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match op {
            Op::Open => Ret::Opened(0),
            Op::Append(tail) => {
                self.0.push(*tail);
                Ret::Done
            }
            Op::Get => Ret::Value(self.0.clone()),
        }
    }
}

type Tester = LinearizabilityTester<usize, Honest>;

/// Everything that was asked and heard so far, and whether it can be explained.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct History {
    tester: Arc<Tester>,
    pub(crate) explained: bool,
}

impl Default for History {
    fn default() -> Self {
        Self { tester: Arc::new(Tester::new(Honest::default())), explained: true }
    }
}

impl History {
    /// A client's request arrives somewhere for the first time.
    pub(crate) fn asks(&mut self, client: usize, op: Op) {
        if op == Op::Open {
            return;
        }
        let tester = Arc::make_mut(&mut self.tester);
        tester.on_invoke(client, op).expect("one request at a time");
    }

    /// A client hears.
    pub(crate) fn hears(&mut self, client: usize, ret: Ret) {
        if matches!(ret, Ret::Opened(_)) {
            return;
        }
        let tester = Arc::make_mut(&mut self.tester);
        tester.on_return(client, ret).expect("it has asked");
        self.explained = tester.is_consistent();
    }
}
