//! Members near a place: GEOSEARCH, GEORADIUS and their kin.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::sorted_result::{limits, store};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::geo::{Found, search};
use crate::data::{Limits, SortedSet};
use crate::resp::Encoder;
use crate::store::{Entry, Key, Kind};

use super::request::{Form, Order, Request};
use super::{write_distance, write_point};

const SOURCE: Access = Access::RO.with(Access::ACCESS);
const TARGET: Access = Access::OW.with(Access::UPDATE);

const STORES: Flags = Flags::WRITE.with(Flags::DENYOOM);

const RADIUS_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.";
const SEARCH_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape";

const ROW: Command = Command {
    since: "3.2.0",
    complexity: RADIUS_COMPLEXITY,
    group: Group::Geo,
    flags: Flags::READONLY,
    keys: Keys::One(SOURCE),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "GEORADIUS",
        arguments: "any @6.2.0",
        history: &[
            ("6.2.0", "Added the `ANY` option for `COUNT`."),
            ("7.0.0", "Added support for uppercase unit names."),
        ],
        deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
        syntax: "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
        summary: "Returns or stores the members of a geo index within a distance from a place.",
        flags: STORES.with(Flags::MOVABLE_KEYS),
        keys: Keys::OneAndStored(SOURCE, TARGET, 6),
        run: |ctx, args| answer_or_store(ctx, args, Form::Radius, true),
        ..ROW
    },
    Command {
        name: "GEORADIUSBYMEMBER",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        deprecated: Some((
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        )),
        syntax: "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
        summary: "Returns or stores the members of a geo index within a distance from one of them.",
        flags: STORES.with(Flags::MOVABLE_KEYS),
        keys: Keys::OneAndStored(SOURCE, TARGET, 5),
        run: |ctx, args| answer_or_store(ctx, args, Form::RadiusByMember, true),
        ..ROW
    },
    Command {
        name: "GEORADIUSBYMEMBER_RO",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
        syntax: "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
        summary: "Returns the members of a geo index within a distance from one of them.",
        since: "3.2.10",
        run: |ctx, args| answer_or_store(ctx, args, Form::RadiusByMember, false),
        ..ROW
    },
    Command {
        name: "GEORADIUS_RO",
        arguments: "any @6.2.0",
        history: &[("6.2.0", "Added the `ANY` option for `COUNT`.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
        syntax: "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
        summary: "Returns the members of a geo index within a distance from a place.",
        since: "3.2.10",
        run: |ctx, args| answer_or_store(ctx, args, Form::Radius, false),
        ..ROW
    },
    Command {
        name: "GEOSEARCH",
        arguments: "member_* =from; radius_* =by; radius_unit =circle; width_* =box",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        syntax: "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        summary: "Returns the members of a geo index within a circle or a box.",
        since: "6.2.0",
        complexity: SEARCH_COMPLEXITY,
        run: |ctx, args| answer_or_store(ctx, args, Form::Search, false),
        ..ROW
    },
    Command {
        name: "GEOSEARCHSTORE",
        arguments: "member_* =from; radius_* =by; radius_unit =circle; width_* =box",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        syntax: "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
        summary: "Stores the members of a geo index within a circle or a box.",
        since: "6.2.0",
        complexity: SEARCH_COMPLEXITY,
        flags: STORES,
        keys: Keys::Two(TARGET, SOURCE),
        run: |ctx, args| answer_or_store(ctx, args, Form::SearchStore, false),
        ..ROW
    },
];

fn answer_or_store(ctx: &mut Context<'_>, mut args: Args<'_>, form: Form, may_store: bool) -> Outcome {
    if form == Form::SearchStore {
        args.key();
    }
    let key = args.key();
    // Looked up first, since the arguments may name a member of it.
    ctx.view.get::<SortedSet>(key)?;
    let set = ctx.view.read_again(key).and_then(Entry::as_object).and_then(SortedSet::of);
    let request = Request::read(&mut args, form, may_store, set)?;
    let found = set.map_or_else(Vec::new, |set| results(set, &request));
    match request.target {
        None => {
            write_all(ctx.out, &found, &request);
            Ok(Reply::Sent)
        }
        Some(target) => {
            let result = collect(&found, &request, &limits(ctx.settings));
            let event = if form == Form::SearchStore { "geosearchstore" } else { "georadiusstore" };
            keep(ctx, target, result, event)
        }
    }
}

/// What was found, in order and not more than wanted.
fn results<'a>(set: &'a SortedSet, request: &Request<'_>) -> Vec<Found<'a>> {
    let Some(area) = &request.area else { return Vec::new() };
    let mut found = search(set, area, if request.any { request.count } else { 0 });
    // The first so many can only mean the nearest.
    let order = match request.order {
        Order::None if request.count != 0 && !request.any => Order::Nearest,
        order => order,
    };
    let wanted = if request.count == 0 { found.len() } else { request.count.min(found.len()) };
    match order {
        Order::None => {}
        Order::Nearest => sort(&mut found, wanted, |a, b| a.total_cmp(&b)),
        Order::Farthest => sort(&mut found, wanted, |a, b| b.total_cmp(&a)),
    }
    found.truncate(wanted);
    found
}

/// Brings the first `wanted` to the front and into order.
fn sort(found: &mut Vec<Found<'_>>, wanted: usize, order: impl Fn(f64, f64) -> std::cmp::Ordering) {
    if wanted < found.len() {
        found.select_nth_unstable_by(wanted, |a, b| order(a.distance, b.distance));
        found.truncate(wanted);
    }
    found.sort_by(|a, b| order(a.distance, b.distance));
}

fn write_all(out: &mut Encoder, found: &[Found<'_>], request: &Request<'_>) {
    let extras = [request.with_distance, request.with_hash, request.with_point];
    let extras = extras.into_iter().filter(|wanted| *wanted).count();
    out.array(found.len());
    for Found { member, score, point, distance } in found {
        if extras > 0 {
            out.array(extras + 1);
        }
        out.bulk(member);
        if request.with_distance {
            write_distance(out, distance / request.unit.metres);
        }
        if request.with_hash {
            out.int(*score as i64);
        }
        if request.with_point {
            write_point(out, *point);
        }
    }
}

/// The sorted set that is stored: geohashes or distances as scores.
fn collect(found: &[Found<'_>], request: &Request<'_>, limits: &Limits) -> SortedSet {
    let score_of = |found: &Found<'_>| {
        if request.stores_distance { found.distance / request.unit.metres } else { found.score }
    };
    let mut members: Vec<(f64, &[u8])> = found.iter().map(|found| (score_of(found), found.member)).collect();
    members.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    SortedSet::from_sorted(members.iter().map(|&(score, member)| (member, score)), limits)
}

/// Stores a result; Redis counts each of its members as a change here.
fn keep(ctx: &mut Context<'_>, target: Key<'_>, result: SortedSet, event: &'static str) -> Outcome {
    let members = result.len() as u64;
    let outcome = store(ctx, target, result, event);
    ctx.view.tally.changes += members.saturating_sub(1);
    outcome
}
