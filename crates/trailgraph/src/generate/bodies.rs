//! Request bodies in the shapes that CloudTrail records: XML as JSON, where one element is an object, several are an
//! array, an empty one is `""`, and text that looks like a number or a boolean becomes one.

mod access;
mod control;
mod reports;
mod rules;
mod settings;
mod tags;

use fastrand::Rng;

pub(super) use self::access::{acl, block, ownership, partial_block};
pub(super) use self::control::{access_point, account_block, open_point_policy, partial_account_block, point_policy};
pub(super) use self::reports::{analytics, inventory, inventory_id, metrics, tiering, tiering_id};
pub(super) use self::rules::{cors, lifecycle, notification, replication};
pub(super) use self::settings::{
    abac, abac_off, creation, encryption, logging, logging_off, object_lock, request_payment, versioning,
    versioning_suspended, website,
};
pub(super) use self::tags::{tag, tagging, untag};
use super::subject::Subject;
use super::text::put;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const CONTROL_XMLNS: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";

pub(super) fn nothing(_: &mut Vec<u8>, _: &Subject, _: &mut Rng) {}

/// Opens the root of a body; its members follow, each after a comma.
fn open(text: &mut Vec<u8>, root: &str) {
    open_in(text, root, XMLNS);
}

fn open_in(text: &mut Vec<u8>, root: &str, xmlns: &str) {
    put!(text, r#",""#, root, r#"":{"xmlns":""#, xmlns, r#"""#);
}

/// Elements of one name, each written with its position: one as itself, more as an array.
fn elements(text: &mut Vec<u8>, count: usize, mut element: impl FnMut(&mut Vec<u8>, usize)) {
    put!(text, if count > 1 { "[" } else { "" });
    for position in 0..count {
        put!(text, if position > 0 { "," } else { "" });
        element(text, position);
    }
    put!(text, if count > 1 { "]" } else { "" });
}
