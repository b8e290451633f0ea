//! What the searches ask for: one reader for the words of all of them.

use crate::command::{Args, CommandError};
use crate::data::SortedSet;
use crate::data::geo::{Area, Point, Shape, Unit, point_of_score};
use crate::store::Key;

use super::{point, unit};

/// Which search is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `key longitude latitude radius unit`
    Radius,
    /// `key member radius unit`
    RadiusByMember,
    /// `key`, then words that name middle and shape.
    Search,
    /// `destination source`, then the same.
    SearchStore,
}

impl Form {
    fn names_area_in_words(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }
}

/// The order of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are found.
    None,
    /// The nearest first.
    Nearest,
    /// The farthest first.
    Farthest,
}

/// A search as it was asked.
pub(super) struct Request<'a> {
    /// What is searched; without a set it may be missing.
    pub area: Option<Area>,
    /// The unit of distances.
    pub unit: Unit,
    pub with_distance: bool,
    pub with_hash: bool,
    pub with_point: bool,
    pub order: Order,
    /// At most so many; 0 is no limit.
    pub count: usize,
    /// Whether any so many will do, or only the first in order.
    pub any: bool,
    /// Where the result is stored.
    pub target: Option<Key<'a>>,
    /// Whether distances are stored as scores.
    pub stores_distance: bool,
    middle: Option<Point>,
    /// A middle was named, though the member may be unknown for want of a set.
    has_middle: Option<Middle>,
    shape: Option<Shape>,
}

#[derive(Clone, Copy, PartialEq)]
enum Middle {
    Member,
    Place,
}

impl<'a> Request<'a> {
    /// Reads the arguments behind the searched key. Members are looked up in `set` on the way, and the first
    /// mistake from the left is the one that is told, as in Redis.
    pub(super) fn read(
        args: &mut Args<'a>,
        form: Form,
        may_store: bool,
        set: Option<&SortedSet>,
    ) -> Result<Request<'a>, CommandError> {
        let mut request = Request::empty();
        match form {
            Form::Radius => {
                request.middle = Some(point(args)?);
                request.read_circle(args)?;
            }
            Form::RadiusByMember if set.is_none() => {
                // Nothing can be found, so Redis does not even look at these.
                for _ in 0..3 {
                    args.bytes();
                }
            }
            Form::RadiusByMember => {
                request.read_member(args, set)?;
                request.read_circle(args)?;
            }
            Form::Search | Form::SearchStore => {}
        }
        while args.remaining() > 0 {
            let read = request.read_option(args)?
                || (may_store && request.read_target(args)?)
                || (form.names_area_in_words() && request.read_area(args, form, set)?);
            if !read {
                return Err(CommandError::Syntax);
            }
        }
        if form == Form::SearchStore {
            request.target = args.declared(0);
        }
        request.check(args, form)?;
        request.area = request.middle.zip(request.shape).map(|(middle, shape)| Area { middle, shape });
        Ok(request)
    }

    fn empty() -> Request<'a> {
        Request {
            area: None,
            unit: Unit::METRE,
            with_distance: false,
            with_hash: false,
            with_point: false,
            order: Order::None,
            count: 0,
            any: false,
            target: None,
            stores_distance: false,
            middle: None,
            has_middle: None,
            shape: None,
        }
    }

    /// Reads a word that all searches know. False when the next word is none of them.
    fn read_option(&mut self, args: &mut Args<'_>) -> Result<bool, CommandError> {
        if args.keyword("WITHDIST") {
            self.with_distance = true;
        } else if args.keyword("WITHHASH") {
            self.with_hash = true;
        } else if args.keyword("WITHCOORD") {
            self.with_point = true;
        } else if args.keyword("ANY") {
            self.any = true;
        } else if args.keyword("ASC") {
            self.order = Order::Nearest;
        } else if args.keyword("DESC") {
            self.order = Order::Farthest;
        } else if args.remaining() > 1 && args.keyword("COUNT") {
            let count = args.int();
            args.check()?;
            if count <= 0 {
                return Err(CommandError::fixed("ERR COUNT must be > 0"));
            }
            self.count = usize::try_from(count).unwrap_or(usize::MAX);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads `STORE key` or `STOREDIST key`.
    fn read_target(&mut self, args: &mut Args<'a>) -> Result<bool, CommandError> {
        if args.remaining() < 2 {
            return Ok(false);
        }
        let stores_distance = args.keyword("STOREDIST");
        if !stores_distance && !args.keyword("STORE") {
            return Ok(false);
        }
        self.stores_distance = stores_distance;
        self.target = Some(args.key());
        Ok(true)
    }

    /// Reads middle or shape, or GEOSEARCHSTORE's STOREDIST.
    fn read_area(
        &mut self,
        args: &mut Args<'_>,
        form: Form,
        set: Option<&SortedSet>,
    ) -> Result<bool, CommandError> {
        let (left, middle) = (args.remaining(), self.has_middle);
        let is_box = matches!(self.shape, Some(Shape::Rectangle { .. }));
        let is_circle = matches!(self.shape, Some(Shape::Circle { .. }));
        if form == Form::SearchStore && args.keyword("STOREDIST") {
            self.stores_distance = true;
        } else if left > 1 && middle != Some(Middle::Place) && args.keyword("FROMMEMBER") {
            self.has_middle = Some(Middle::Member);
            if set.is_some() {
                self.read_member(args, set)?;
            } else {
                args.bytes();
            }
        } else if left > 2 && middle != Some(Middle::Member) && args.keyword("FROMLONLAT") {
            self.has_middle = Some(Middle::Place);
            self.middle = Some(point(args)?);
        } else if left > 2 && !is_box && args.keyword("BYRADIUS") {
            self.read_circle(args)?;
        } else if left > 3 && !is_circle && args.keyword("BYBOX") {
            self.read_box(args)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn read_member(&mut self, args: &mut Args<'_>, set: Option<&SortedSet>) -> Result<(), CommandError> {
        let member = args.bytes();
        let score = set.and_then(|set| set.score(member));
        let unknown = CommandError::fixed("ERR could not decode requested zset member");
        self.middle = Some(point_of_score(score.ok_or(unknown)?));
        Ok(())
    }

    fn read_circle(&mut self, args: &mut Args<'_>) -> Result<(), CommandError> {
        let radius = length(args, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::fixed("ERR radius cannot be negative"));
        }
        self.unit = unit(args)?;
        self.shape = Some(Shape::Circle { radius: radius * self.unit.metres });
        Ok(())
    }

    fn read_box(&mut self, args: &mut Args<'_>) -> Result<(), CommandError> {
        let width = length(args, "ERR need numeric width")?;
        let height = length(args, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::fixed("ERR height or width cannot be negative"));
        }
        self.unit = unit(args)?;
        let metres = self.unit.metres;
        self.shape = Some(Shape::Rectangle { width: width * metres, height: height * metres });
        Ok(())
    }

    /// Refuses what does not go together.
    fn check(&self, args: &Args<'_>, form: Form) -> Result<(), CommandError> {
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            let who = if form == Form::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(CommandError::err(format_args!(
                "{who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if form.names_area_in_words() {
            let name = crate::command::error::shown(args.get(0));
            if self.has_middle.is_none() {
                return Err(CommandError::err(format_args!(
                    "exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
                )));
            }
            if self.shape.is_none() {
                return Err(CommandError::err(format_args!(
                    "exactly one of BYRADIUS and BYBOX can be specified for {name}"
                )));
            }
        }
        if self.any && self.count == 0 {
            return Err(CommandError::fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }
}

fn length(args: &mut Args<'_>, error: &'static str) -> Result<f64, CommandError> {
    crate::data::parse_f64(args.bytes()).ok_or(CommandError::fixed(error))
}
