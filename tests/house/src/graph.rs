//! Who imports whom, by name.

use std::collections::{BTreeMap, BTreeSet};

/// A directed graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// Notes that `from` imports `to`. Nobody imports itself.
    pub(crate) fn add(&mut self, from: &str, to: &str) {
        if from != to {
            self.0.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for everyone that imports.
    pub(crate) fn text(&self, indent: &str) -> String {
        let line = |(from, to): (&String, &BTreeSet<String>)| {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            format!("{indent}{from} → {}\n", to.join(", "))
        };
        self.0.iter().map(line).collect()
    }

    /// The largest sets in which everyone imports everyone, by way of others or not.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = self
            .0
            .keys()
            .map(|from| (from.as_str(), self.reached_from(from)))
            .collect();
        let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|it| it.contains(to));
        let mut circles: Vec<Vec<String>> = Vec::new();
        for from in self.0.keys().filter(|it| reaches(it, it)) {
            if circles.iter().flatten().any(|known| known == from) {
                continue;
            }
            let members = self.0.keys().filter(|to| reaches(from, to) && reaches(to, from));
            circles.push(members.cloned().collect());
        }
        circles
    }

    fn reached_from<'a>(&'a self, from: &str) -> BTreeSet<&'a str> {
        let next = |name: &str| self.0.get(name).into_iter().flatten().map(String::as_str);
        let mut reached = BTreeSet::new();
        let mut to_visit: Vec<&str> = next(from).collect();
        while let Some(name) = to_visit.pop() {
            if reached.insert(name) {
                to_visit.extend(next(name));
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to) in edges {
            graph.add(from, to);
        }
        graph
    }

    /// Goal: each circle is told once, with all its members and nobody else.
    #[test]
    fn circles_are_found() {
        assert_eq!(
            graph(&[("a", "b"), ("b", "c"), ("a", "c"), ("a", "a")]).circles(),
            Vec::<Vec<String>>::new()
        );
        let two = graph(&[
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "d"),
            ("x", "y"),
            ("y", "x"),
            ("e", "a"),
        ]);
        assert_eq!(two.circles(), [vec!["a", "b", "c"], vec!["x", "y"]]);
    }
}
