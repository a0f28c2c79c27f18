//! One filter of the table.

use arcstr::ArcStr;

use super::group::Group;
use super::{Member, Slot};

/// A filter, and who is subscribed with it.
pub(super) struct Filter {
    pub(super) name: ArcStr,
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<Group>,
}

impl Filter {
    pub(super) fn is_live(&self) -> bool {
        !self.members.is_empty() || !self.groups.is_empty()
    }

    /// Adds `member`; when its session was in already, only its number changes, and the old one is returned.
    pub(super) fn join(&mut self, member: Member, share: Option<&str>) -> Option<u32> {
        let members = match share {
            None => &mut self.members,
            Some(share) => {
                let at = self
                    .groups
                    .iter()
                    .position(|group| &*group.share == share)
                    .unwrap_or_else(|| {
                        self.groups.push(Group {
                            share: share.into(),
                            members: Vec::new(),
                            next: 0,
                        });
                        self.groups.len() - 1
                    });
                match self.groups.get_mut(at) {
                    Some(group) => &mut group.members,
                    None => return None,
                }
            }
        };
        match members.iter_mut().find(|m| m.slot == member.slot) {
            Some(old) => Some(std::mem::replace(&mut old.subscription, member.subscription)),
            None => {
                members.push(member);
                None
            }
        }
    }

    pub(super) fn part(&mut self, slot: Slot, share: Option<&str>) {
        match share {
            None => {
                if let Some(at) = self.members.iter().position(|m| m.slot == slot) {
                    self.members.swap_remove(at);
                }
            }
            Some(share) => {
                if let Some(group) = self.groups.iter_mut().find(|group| &*group.share == share) {
                    group.part(slot);
                }
                self.groups.retain(|group| !group.members.is_empty());
            }
        }
    }
}
