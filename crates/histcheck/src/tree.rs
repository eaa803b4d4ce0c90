//! The tree of everything anybody ever saw under one key.
//!
//! A search for an order does not need the value of a key, only whether some answer still to come
//! can be explained from it. So a value is a *place* in the tree of all values that answers name:
//! appending walks down, putting starts at the root, and whoever leaves the tree has a value that
//! nobody ever saw. Places are exact: no hash stands in for bytes.

/// A value that is a prefix of something somebody saw: this many bytes, ending in this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    node: u32,
    depth: u32,
}

/// The empty value, a prefix of all.
pub(crate) const EMPTY: Place = Place { node: 0, depth: 0 };

#[derive(Debug, Default)]
struct Node<'a> {
    parent: u32,
    /// The bytes between the parent and here.
    label: &'a [u8],
    /// Bytes from the root to here.
    depth: u32,
    /// First byte of each child's label.
    children: Vec<(u8, u32)>,
    /// This node and everything below it are numbered `enter..exit`.
    enter: u32,
    exit: u32,
}

impl Node<'_> {
    fn child(&self, first: u8) -> Option<u32> {
        self.children.iter().find(|(byte, _)| *byte == first).map(|(_, node)| *node)
    }
}

/// A prefix tree with bytes on its edges.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    /// The tree of these values.
    pub(crate) fn new(mut seen: Vec<&'a [u8]>) -> Self {
        // Longest first: then a prefix of another value ends inside an edge and costs no node.
        seen.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        seen.dedup();
        let mut tree = Self { nodes: vec![Node::default()] };
        for text in seen {
            tree.insert(text);
        }
        tree.number();
        tree
    }

    fn insert(&mut self, mut text: &'a [u8]) {
        let mut node = 0u32;
        while let Some(first) = text.first() {
            let Some(child) = self.nodes[node as usize].child(*first) else {
                self.leaf(node, text);
                return;
            };
            let label = self.nodes[child as usize].label;
            let common = shared(label, text);
            if common == text.len() {
                return;
            }
            node = if common == label.len() { child } else { self.split(child, common) };
            text = &text[common..];
        }
    }

    fn leaf(&mut self, parent: u32, label: &'a [u8]) {
        let depth = self.nodes[parent as usize].depth + index(label.len());
        let node = index(self.nodes.len());
        self.nodes.push(Node { parent, label, depth, ..Node::default() });
        self.nodes[parent as usize].children.push((label[0], node));
    }

    /// Puts a new node into the edge above `lower`, `at` bytes down.
    fn split(&mut self, lower: u32, at: usize) -> u32 {
        let middle = index(self.nodes.len());
        let Node { parent, label, .. } = self.nodes[lower as usize];
        let depth = self.nodes[parent as usize].depth + index(at);
        let children = vec![(label[at], lower)];
        self.nodes.push(Node { parent, label: &label[..at], depth, children, ..Node::default() });
        for (byte, child) in &mut self.nodes[parent as usize].children {
            if *byte == label[0] {
                *child = middle;
            }
        }
        let lower = &mut self.nodes[lower as usize];
        lower.parent = middle;
        lower.label = &label[at..];
        middle
    }

    /// Numbers the nodes so that *is below* becomes a comparison.
    fn number(&mut self) {
        let mut next = 0u32;
        let mut open = vec![(0u32, 0usize)];
        while let Some((node, visited)) = open.pop() {
            let here = &mut self.nodes[node as usize];
            if visited == 0 {
                here.enter = next;
                next += 1;
            }
            match here.children.get(visited) {
                Some((_, child)) => open.extend([(node, visited + 1), (*child, 0)]),
                None => here.exit = next,
            }
        }
    }

    /// The value at `from` with `more` added; `None` if nobody ever saw its like.
    pub(crate) fn extend(&self, from: Place, mut more: &[u8]) -> Option<Place> {
        let Place { mut node, mut depth } = from;
        while let Some(first) = more.first() {
            let here = &self.nodes[node as usize];
            let left = (here.depth - depth) as usize;
            if left == 0 {
                node = here.child(*first)?;
                continue;
            }
            let step = left.min(more.len());
            let at = here.label.len() - left;
            if here.label[at..at + step] != more[..step] {
                return None;
            }
            depth += index(step);
            more = &more[step..];
        }
        Some(Place { node, depth })
    }

    /// Whether the value at `short` is a prefix of the one at `long`, or the same.
    pub(crate) fn is_prefix(&self, short: Place, long: Place) -> bool {
        let (above, below) = (&self.nodes[short.node as usize], &self.nodes[long.node as usize]);
        short.depth <= long.depth && above.enter <= below.enter && below.enter < above.exit
    }

    /// All places from `from` up to the root that share an edge, as ranges from short to long.
    pub(crate) fn above(&self, from: Place) -> impl Iterator<Item = (Place, Place)> + '_ {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let long = next?;
            let parent = self.nodes[long.node as usize].parent;
            next = (long.node != 0)
                .then(|| Place { node: parent, depth: self.nodes[parent as usize].depth });
            Some((Place { depth: 0, ..long }, long))
        })
    }
}

/// How many leading bytes two texts share.
fn shared(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    // Comparing whole slices is many times faster than byte by byte, and most are equal.
    if a[..length] == b[..length] {
        return length;
    }
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Nodes and depths are bounded by the bytes of one history file's lines, far below 4 GiB.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("the answers under one key have less than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::{EMPTY, Tree};

    #[test]
    fn places_agree_with_plain_strings() {
        let seen: [&[u8]; 7] = [b"abcd", b"abxy", b"ab", b"", b"b", b"abcdef", b"ab"];
        let tree = Tree::new(seen.to_vec());
        let prefixes: Vec<&[u8]> =
            seen.iter().flat_map(|text| (0..=text.len()).map(|end| &text[..end])).collect();
        for short in &prefixes {
            let at = tree.extend(EMPTY, short).expect("a prefix has a place");
            for long in &prefixes {
                let to = tree.extend(EMPTY, long).expect("a prefix has a place");
                assert_eq!(at == to, short == long, "{short:?} {long:?}");
                assert_eq!(tree.is_prefix(at, to), long.starts_with(short), "{short:?} {long:?}");
                if let Some(rest) = long.strip_prefix(*short) {
                    assert_eq!(tree.extend(at, rest), Some(to));
                }
            }
        }
    }

    #[test]
    fn what_nobody_saw_has_no_place() {
        let tree = Tree::new(vec![b"abc", b"abd"]);
        for text in [&b"b"[..], b"abe", b"abcd", b"ac"] {
            assert_eq!(tree.extend(EMPTY, text), None);
        }
    }

    #[test]
    fn the_way_up_meets_every_prefix_once() {
        let tree = Tree::new(vec![b"abcd", b"abxy", b"a"]);
        let leaf = tree.extend(EMPTY, b"abxy").expect("seen");
        for end in 0..=4 {
            let place = tree.extend(EMPTY, &b"abxy"[..end]).expect("seen");
            let met = tree.above(leaf).filter(|(a, b)| *a <= place && place <= *b).count();
            assert_eq!(met, 1, "{end}");
        }
    }
}
