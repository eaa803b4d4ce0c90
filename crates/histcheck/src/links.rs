//! A list one can leave and re-enter: what makes trying and taking back cost the same.

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A doubly linked list over the numbers `0..n`. Members leave in any order and come back in the
/// opposite one.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Slot `n` stands before the first and after the last member.
    next: Vec<u32>,
    before: Vec<u32>,
    member: Vec<bool>,
}

impl Links {
    /// A list of `members`, in this order, out of `0..n`.
    pub(crate) fn new(n: usize, members: impl IntoIterator<Item = u32>) -> Self {
        let head = n as u32;
        let mut links =
            Self { next: vec![head; n + 1], before: vec![head; n + 1], member: vec![false; n] };
        let mut last = head;
        for member in members {
            links.next[last as usize] = member;
            links.before[member as usize] = last;
            links.member[member as usize] = true;
            last = member;
        }
        links.next[last as usize] = NONE;
        links.before[n] = last;
        links
    }

    /// The first member.
    pub(crate) fn first(&self) -> Option<u32> {
        self.after(self.member.len() as u32)
    }

    /// The member after `this`.
    pub(crate) fn after(&self, this: u32) -> Option<u32> {
        let next = self.next[this as usize];
        (next != NONE).then_some(next)
    }

    /// Takes `this` out, if it ever was a member.
    pub(crate) fn leave(&mut self, this: u32) {
        if !self.member[this as usize] {
            return;
        }
        let (before, next) = (self.before[this as usize], self.next[this as usize]);
        self.next[before as usize] = next;
        let next = if next == NONE { self.member.len() } else { next as usize };
        self.before[next] = before;
    }

    /// Puts the member that left last back where it was.
    pub(crate) fn return_last(&mut self, this: u32) {
        if !self.member[this as usize] {
            return;
        }
        let (before, next) = (self.before[this as usize], self.next[this as usize]);
        self.next[before as usize] = this;
        let next = if next == NONE { self.member.len() } else { next as usize };
        self.before[next] = this;
    }
}

#[cfg(test)]
mod tests {
    use super::Links;

    fn members(links: &Links) -> Vec<u32> {
        std::iter::successors(links.first(), |this| links.after(*this)).collect()
    }

    #[test]
    fn leaving_and_returning_restores_the_order() {
        let mut links = Links::new(6, [4, 1, 0, 5]);
        for this in [1, 4, 5, 2, 0] {
            links.leave(this);
        }
        assert!(members(&links).is_empty());
        for this in [0, 2, 5] {
            links.return_last(this);
        }
        assert_eq!(members(&links), vec![0, 5]);
        links.return_last(4);
        links.return_last(1);
        assert_eq!(members(&links), vec![4, 1, 0, 5]);
    }
}
